package netstreamflow

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/trace"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// telemetry is what the service tells of itself while it works: metrics where there is an admin listener to read them, and
// traces where OpenTelemetry's variables say where they go. It wraps the parts of the service, or is told by their hooks;
// none of them knows Prometheus or OpenTelemetry.
type telemetry struct {
	// metrics is nil where nobody could read them.
	metrics *metrics
	// tracing carries on the traces of callers even where it makes no spans of its own.
	tracing *tracing

	spans    *spans
	flushing sync.Once
	logger   *slog.Logger
}

// provideTelemetry opens both. The cleanup drops what has not been sent: see [telemetry.flush].
func provideTelemetry(ctx context.Context, cfg valid, logger *slog.Logger) (*telemetry, func(), error) {
	spans, err := openSpans(ctx, logger.With("part", "traces"))
	if err != nil {
		return nil, nil, err
	}
	t := &telemetry{spans: spans, logger: logger}
	var tracer trace.Tracer
	if spans != nil {
		tracer = spans.Tracer("github.com/netstreamflow/netstreamflow", trace.WithInstrumentationVersion(Version()))
	}
	t.tracing = newTracing(cfg, tracer)
	if cfg.AdminListen != "" {
		t.metrics = newMetrics()
	}
	return t, func() { t.flush(context.Background()) }, nil
}

// flush sends the last spans, for no longer than flushTimeout, and makes no more. It may be repeated.
func (t *telemetry) flush(ctx context.Context) {
	if t.spans == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	t.flushing.Do(func() {
		if err := t.spans.close(ctx); err != nil {
			t.logger.Warn("the last traces were not exported", "error", err)
		}
	})
}

// Begin implements [rest.Observer].
func (t *telemetry) Begin(r *http.Request) *http.Request {
	if t.metrics != nil {
		t.metrics.requests.inFlight.Inc()
	}
	return t.tracing.request(r)
}

// End implements [rest.Observer].
func (t *telemetry) End(ctx context.Context, o rest.Observation) {
	if o.Status == 0 {
		o.Status = http.StatusOK // what was cut off before its first byte has no status either, but then nobody is told any
	}
	if t.metrics != nil {
		t.metrics.requests.end(ctx, o)
	}
	t.tracing.answered(ctx, o)
}

// called is [broker.Options.Observe], nil without metrics.
func (t *telemetry) called() func(broker.Publication) {
	if t.metrics == nil {
		return nil
	}
	return t.metrics.publish.called
}

// onRetry is [broker.Options.Retried].
type onRetry func()

// provideRetries counts retries, nil without metrics.
func provideRetries(t *telemetry) onRetry {
	if t.metrics == nil {
		return nil
	}
	return t.metrics.publish.retries.Inc
}

// batch is [consumer.Options.Observe], nil without tracing.
func (t *telemetry) batch() func(context.Context, []*message.Message) (context.Context, func(bool)) {
	if t.tracing.tracer == nil {
		return nil
	}
	return t.tracing.batch
}

// observedLog is a log whose publications are measured and traced.
type observedLog struct {
	application.Log

	telemetry *telemetry
}

// Publish implements [application.Log].
func (l *observedLog) Publish(ctx context.Context, events []domain.Event) (application.Receipt, error) {
	start := time.Now()
	sending, span := l.telemetry.tracing.send(ctx, events)
	receipt, err := l.Log.Publish(sending, events)
	endSpan(span, err)
	if m := l.telemetry.metrics; m != nil {
		m.publish.published(sending, len(events), receipt, time.Since(start), err)
	}
	return receipt, err
}

// observedRecorder is the writing side of a store, whose transactions are measured and traced.
type observedRecorder struct {
	application.Recorder

	telemetry *telemetry
}

// Record implements [application.Recorder].
func (r *observedRecorder) Record(ctx context.Context, b application.Batch) (added int, err error) {
	spans := r.telemetry.tracing.record(ctx, b.Entries)
	start := time.Now()
	added, err = r.Recorder.Record(ctx, b)
	took := time.Since(start)
	for _, span := range spans {
		endSpan(span, err)
	}
	if m := r.telemetry.metrics; m != nil {
		m.recorded(ctx, b, took, err)
	}
	return added, err
}

// observedReader is the reading side of a store, whose answers are measured and traced.
type observedReader struct {
	application.Reader

	telemetry *telemetry
}

// Event implements [application.Reader].
func (r *observedReader) Event(ctx context.Context, id domain.UUID) ([]byte, error) {
	ctx, span := r.telemetry.tracing.query(ctx, queryEvent)
	start := time.Now()
	event, err := r.Reader.Event(ctx, id)
	endSpan(span, failure(err))
	if m := r.telemetry.metrics; m != nil {
		m.store.event.of(failure(err)).observe(ctx, time.Since(start).Seconds())
	}
	return event, err
}

// Query implements [application.Reader].
func (r *observedReader) Query(ctx context.Context, q application.Query, yield func([]byte) error) (next string, err error) {
	ctx, span := r.telemetry.tracing.query(ctx, queryList)
	start := time.Now()
	var first time.Duration
	var yielding error
	next, err = r.Reader.Query(ctx, q, func(event []byte) error {
		if first == 0 {
			first = time.Since(start)
		}
		yielding = yield(event)
		return yielding
	})
	if first == 0 {
		first = time.Since(start)
	}
	failed := failure(err)
	if yielding != nil {
		failed = nil // the client has gone
	}
	endSpan(span, failed)
	if m := r.telemetry.metrics; m != nil {
		m.store.list.of(failed).observe(ctx, first.Seconds())
	}
	return next, err
}
