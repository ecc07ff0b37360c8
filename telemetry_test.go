package netstreamflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
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

// TestTrail has a store that follows a partition, and one that stands still.
func TestTrail(t *testing.T) {
	start := time.Now()
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	var follows trail
	for second := range 1000 { // ten records a second, the store ten seconds behind
		position := max(0, int64(second-10)*10)
		follows = follows.follow(mark{at: at(second), next: int64(second) * 10}, position)
		if len(follows) > 12 || second > 10 && !follows[0].at.Equal(at(second-10)) {
			t.Fatalf("second %d: %d marks, the first at second %v", second, len(follows), follows[0].at.Sub(start))
		}
	}
	var stands trail
	for second := range 10_000 {
		stands = stands.follow(mark{at: at(second), next: int64(second) * 10}, 5)
		again := stands.follow(mark{at: at(second), next: int64(second) * 10}, 5)
		if len(stands) > maxMarks || len(again) != len(stands) || !stands[0].at.Equal(start) {
			t.Fatalf("second %d: %d marks, the first at %v", second, len(stands), stands[0].at.Sub(start))
		}
	}
	// It is found to have gone on, to within what the marks are apart.
	stands = stands.follow(mark{at: at(10_000), next: 100_000}, 50_000)
	if since := stands[0].at.Sub(start); since > 5000*time.Second || since < 4000*time.Second {
		t.Errorf("what it wants came after %v, want about 5000 s", since)
	}
	// And to have caught up: from the next scrape on it is followed closely again.
	stands = stands.follow(mark{at: at(10_001), next: 100_000}, 100_000)
	if stands = stands.follow(mark{at: at(11_000), next: 100_000}, 100_000); len(stands) != 1 || !stands[0].at.Equal(at(11_000)) {
		t.Errorf("%v", stands)
	}
}

func TestTracingSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		environ map[string]string
		on      bool
		fault   string
	}{
		"nothing":     {nil, false, ""},
		"disabled":    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, false, ""},
		"none":        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		"by endpoint": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, true, ""},
		"console":     {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, true, ""},
		"exporter":    {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, `OTEL_TRACES_EXPORTER "zipkin" must be`},
		"headers":     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cr3t, x = %2Fy"}, true, ""},
		"no header":   {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "api-key: s3cr3t"}, false, "OTEL_EXPORTER_OTLP_HEADERS must be"},
		"escape":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=s3cr3t%ZZ"}, false, "OTEL_EXPORTER_OTLP_TRACES_HEADERS must be"},
		"header name": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "api key s3cr3t=="}, false, "OTEL_EXPORTER_OTLP_HEADERS must be"},
		"endpoint":    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:s3cr3t@127.0.0.1:port"}, false, "OTEL_EXPORTER_OTLP_ENDPOINT must be"},
		"no scheme":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost:4318"}, false, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be"},
		"not used":    {map[string]string{"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_HEADERS": "s3cr3t"}, true, ""},
		"protocol":    {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, false, `OTEL_EXPORTER_OTLP_PROTOCOL "http/json" must be`},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range tt.environ {
				t.Setenv(variable, value)
			}
			var log bytes.Buffer
			telemetry, cleanup, err := provideTelemetry(t.Context(), valid{DefaultConfig()}, slog.New(slog.NewTextHandler(&log, nil)))
			if strings.Contains(fmt.Sprint(log.String(), err), "s3cr3t") {
				t.Errorf("a secret shows: %s %v", log.String(), err)
			}
			if tt.fault != "" {
				var fault *SettingError
				if err == nil || !strings.Contains(err.Error(), tt.fault) || !errors.As(err, &fault) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer cleanup()
			if got := telemetry.spans != nil; got != tt.on {
				t.Errorf("spans are made: %t", got)
			}
		})
	}
}
