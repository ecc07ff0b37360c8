package netstreamflow

import (
	"context"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// wholeView refuses queries while a view in memory is rebuilt: an event that had been there would be missing, and a cursor of an
// earlier answer would come to an end before the last event. While the broker is away, and nobody knows what is missing, it answers
// with what it has.
type wholeView struct {
	application.Reader

	rebuilding func() bool
}

func provideFind(g *store.Guard, c consumers) *application.Find {
	return application.NewFind(wholeView{g, c.recorder.Rebuilding})
}

// Event implements [application.Reader].
func (v wholeView) Event(ctx context.Context, id domain.UUID) ([]byte, error) {
	if v.rebuilding() {
		return nil, application.ErrRebuilding
	}
	return v.Reader.Event(ctx, id)
}

// Query implements [application.Reader].
func (v wholeView) Query(ctx context.Context, q application.Query, yield func([]byte) error) (next string, err error) {
	if v.rebuilding() {
		return "", application.ErrRebuilding
	}
	return v.Reader.Query(ctx, q, yield)
}
