package netstreamflow_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// stuckStore never answers whoever asks for an event.
type stuckStore struct {
	application.Store

	asked chan struct{}
}

func (s stuckStore) Event(ctx context.Context, _ domain.UUID) ([]byte, error) {
	close(s.asked)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestAcceptedRequestIsCutOff has the service end while it owes an answer: the consumer ends well, and the end tells of the request.
func TestAcceptedRequestIsCutOff(t *testing.T) {
	cfg := inMemory(t)
	cfg.ShutdownTimeout, cfg.AdminListen = 2*time.Second, ""
	asked, drivers := make(chan struct{}), netstreamflow.BuiltIn()
	drivers.Stores["stuck"] = func(ctx context.Context, rest string, o store.Options) (application.Store, error) {
		inner, err := netstreamflow.BuiltIn().Stores["memory"](ctx, rest, o)
		return stuckStore{inner, asked}, err
	}
	cfg.Store = "stuck:"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	app, cleanup, err := netstreamflow.New(ctx, cfg, drivers)
	if err != nil {
		t.Fatal(err)
	}
	defer cleanup()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	go func() {
		r, err := http.Get("http://" + app.Addr().String() + "/api/events/0190a0a0-0000-7000-8000-000000000000")
		if err == nil {
			r.Body.Close()
		}
	}()
	<-asked
	stop()
	err = <-ended
	if err == nil || !strings.Contains(err.Error(), "requests in flight were cut off (1)") || strings.Contains(err.Error(), "consumer") {
		t.Errorf("the end: %v", err)
	}
}
