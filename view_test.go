package netstreamflow

import (
	"context"
	"errors"
	"testing"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// wholeStore is a store that has everything.
type wholeStore struct{}

func (wholeStore) Event(context.Context, domain.UUID) ([]byte, error) { return nil, nil }

func (wholeStore) Query(context.Context, application.Query, func([]byte) error) (string, error) {
	return "", nil
}

// TestWholeView answers nothing while the view is being rebuilt.
func TestWholeView(t *testing.T) {
	rebuilding := true
	v := wholeView{wholeStore{}, func() bool { return rebuilding }}
	ask := func(want error) {
		t.Helper()
		_, err := v.Event(t.Context(), domain.UUID{})
		_, queryErr := v.Query(t.Context(), application.Query{}, nil)
		if !errors.Is(err, want) || !errors.Is(queryErr, want) {
			t.Errorf("got %v and %v", err, queryErr)
		}
	}
	ask(application.ErrRebuilding)
	rebuilding = false
	ask(nil)
}
