package netstreamflow

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// nowhere takes all events.
type nowhere struct{}

func (nowhere) Publish(context.Context, []domain.Event) (application.Receipt, error) {
	return application.Receipt{}, nil
}

// TestMetricsCostNoMemory measures what is done for each request and each event without traces.
func TestMetricsCostNoMemory(t *testing.T) {
	telemetry, cleanup, err := provideTelemetry(t.Context(), valid{DefaultConfig()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer cleanup()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/events", nil)
	events := make([]domain.Event, 1)
	batch := application.Batch{Entries: make([]application.Entry, 100)}
	for i := range batch.Entries {
		batch.Entries[i].Accepted = time.Now()
	}
	log := &observedLog{Log: nowhere{}, telemetry: telemetry}
	for what, do := range map[string]func(){
		"request": func() {
			telemetry.End(telemetry.Begin(r).Context(), rest.Observation{Method: "POST", Route: "/api/events", Status: 202, Took: time.Millisecond})
		},
		"publication": func() { _, _ = log.Publish(t.Context(), events) },
		"headers":     func() { telemetry.tracing.headers(t.Context()) },
		"call":        func() { telemetry.called()(broker.Publication{Events: 1, Took: time.Millisecond}) },
		"transaction": func() { telemetry.metrics.recorded(t.Context(), batch, time.Millisecond, nil) },
	} {
		do() // the first of a kind makes its series
		if allocations := testing.AllocsPerRun(1000, do); allocations > 0 {
			t.Errorf("a %s takes memory %v times", what, allocations)
		}
	}
}
