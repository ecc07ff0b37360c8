package netstreamflow

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// namespace begins the name of each metric of this program.
const namespace = "netstreamflow"

// Labels. None has a value that comes from outside: no user, no path, no key.
const (
	labelMethod     = "method"
	labelRoute      = "route"
	labelCode       = "code"
	labelOutcome    = "outcome"
	labelReason     = "reason"
	labelDurability = "durability"
	labelQuery      = "query"
	labelConsumer   = "consumer"
	labelPartition  = "partition"
	labelPart       = "part"
	labelBreaker    = "breaker"
	labelTo         = "to"
	labelAction     = "action"
	labelBound      = "bound"
	labelFile       = "file"

	outcomeOK     = "ok"
	outcomeFailed = "failed"
)

// Bounds of histograms, in seconds and in events.
var (
	secondsBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	latencyBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	batchBounds   = []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000}
)

// metrics are those that are counted where something happens. What is counted anyway is read by a [collector]. Everything that
// a request or an event needs is resolved beforehand: an observation looks up no label.
type metrics struct {
	registry *prometheus.Registry
	// started is when this was made.
	started time.Time

	requests  *requestMetrics
	publish   *publishMetrics
	store     *storeMetrics
	positions *positions
}

func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildMetric(),
	)
	return &metrics{
		registry: r, started: time.Now(), requests: newRequestMetrics(r), publish: newPublishMetrics(r), store: newStoreMetrics(r),
		positions: &positions{last: make(map[int32]time.Time)},
	}
}

func buildMetric() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "What the program was built from; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": Version(), "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}

func newCounterVec(r prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(v)
	return v
}

func newHistogramVec(r prometheus.Registerer, name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: bounds}, labels)
	r.MustRegister(v)
	return v
}

const (
	// An exemplar takes more memory than the span that it names: what took less than slow has one every exemplarEvery at most.
	slow          = 0.1
	exemplarEvery = 100 * time.Millisecond
)

// timing is a histogram of seconds whose values name the traces that they belong to, where those are kept.
type timing struct {
	histogram prometheus.Observer
	// exemplar is when, in nanoseconds, it last named one.
	exemplar atomic.Int64
}

// observe takes the value, which belongs to the trace of ctx.
func (t *timing) observe(ctx context.Context, seconds float64) {
	t.observeIn(trace.SpanContextFromContext(ctx), seconds)
}

func (t *timing) observeIn(sc trace.SpanContext, seconds float64) {
	h, able := t.histogram.(prometheus.ExemplarObserver)
	if able && sc.IsSampled() && t.isDue(seconds) {
		h.ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": sc.TraceID().String()})
		return
	}
	t.histogram.Observe(seconds)
}

func (t *timing) isDue(seconds float64) bool {
	now, last := time.Now().UnixNano(), t.exemplar.Load()
	if seconds < slow && now-last < int64(exemplarEvery) {
		return false
	}
	return t.exemplar.CompareAndSwap(last, now) || seconds >= slow
}

// outcomes are a histogram's series of what succeeded and of what failed.
type outcomes struct{ ok, failed *timing }

func outcomesOf(v prometheus.ObserverVec) outcomes {
	return outcomes{ok: &timing{histogram: v.WithLabelValues(outcomeOK)}, failed: &timing{histogram: v.WithLabelValues(outcomeFailed)}}
}

func (o outcomes) of(err error) *timing {
	if err != nil {
		return o.failed
	}
	return o.ok
}

// requestMetrics are those of HTTP.
type requestMetrics struct {
	inFlight prometheus.Gauge
	count    *prometheus.CounterVec
	duration *prometheus.HistogramVec

	// series has what was seen so far; a new one makes a new map.
	series atomic.Pointer[map[requestKey]requestSeries]
	mu     sync.Mutex
}

// requestKey has few values: methods are those of a list, routes those that exist, statuses those that handlers send.
type requestKey struct {
	method, route string
	status        int
}

type requestSeries struct {
	count    prometheus.Counter
	duration *timing
}

func newRequestMetrics(r prometheus.Registerer) *requestMetrics {
	labels := []string{labelMethod, labelRoute, labelCode}
	m := &requestMetrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		count: newCounterVec(r, "http_requests_total", "Requests that were answered.", labels...),
		duration: newHistogramVec(r, "http_request_duration_seconds", "How long requests took, until the answer was sent.",
			secondsBounds, labels...),
	}
	r.MustRegister(m.inFlight)
	m.series.Store(&map[requestKey]requestSeries{})
	return m
}

// knownMethods are the values of the label method, beside other.
var knownMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

const (
	otherMethod = "other"
	noRoute     = "none"
)

func methodLabel(method string) string {
	if slices.Contains(knownMethods, method) {
		return method
	}
	return otherMethod
}

func routeLabel(route string) string {
	if route == "" {
		return noRoute
	}
	return route
}

func (m *requestMetrics) end(ctx context.Context, o rest.Observation) {
	m.inFlight.Dec()
	s := m.of(requestKey{methodLabel(o.Method), routeLabel(o.Route), o.Status})
	s.count.Inc()
	s.duration.observe(ctx, o.Took.Seconds())
}

func (m *requestMetrics) of(k requestKey) requestSeries {
	if s, ok := (*m.series.Load())[k]; ok {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	code := strconv.Itoa(k.status)
	s := requestSeries{
		count:    m.count.WithLabelValues(k.method, k.route, code),
		duration: &timing{histogram: m.duration.WithLabelValues(k.method, k.route, code)},
	}
	more := maps.Clone(*m.series.Load())
	more[k] = s
	m.series.Store(&more)
	return s
}

// Values of the label durability.
const (
	durabilityBroker = "broker"
	durabilitySpool  = "spool"
)

// publishMetrics are those of events on their way to the log.
type publishMetrics struct {
	acknowledged, spooled prometheus.Counter
	failed                map[string]prometheus.Counter
	duration              outcomes
	batch                 prometheus.Observer
	call                  outcomes
	retries               prometheus.Counter
}

func newPublishMetrics(r prometheus.Registerer) *publishMetrics {
	acknowledged := newCounterVec(r, "publish_acknowledged_events_total",
		"Events that requests were told are durable, in the broker's log or in the spool.", labelDurability)
	failed := newCounterVec(r, "publish_failed_events_total", "Events that requests were told are not known to be durable.", labelReason)
	m := &publishMetrics{
		acknowledged: acknowledged.WithLabelValues(durabilityBroker), spooled: acknowledged.WithLabelValues(durabilitySpool),
		failed: make(map[string]prometheus.Counter),
		duration: outcomesOf(newHistogramVec(r, "publish_duration_seconds",
			"How long requests waited for their events to be durable.", secondsBounds, labelOutcome)),
		batch: newHistogramVec(r, "broker_publication_events", "Events in one call of the broker's publisher.", batchBounds).WithLabelValues(),
		call: outcomesOf(newHistogramVec(r, "broker_publication_duration_seconds",
			"How long calls of the broker's publisher took.", secondsBounds, labelOutcome)),
		retries: newCounterVec(r, "broker_retries_total", "How often a driver sent records again as the broker had not taken them; librdkafka, for confluent://, does not tell of its own retries.").WithLabelValues(),
	}
	for _, reason := range broker.Reasons() {
		m.failed[reason] = failed.WithLabelValues(reason)
	}
	return m
}

// published takes the outcome of one request's publication.
func (m *publishMetrics) published(ctx context.Context, events int, receipt application.Receipt, took time.Duration, err error) {
	m.duration.of(err).observe(ctx, took.Seconds())
	acknowledged := events
	if err != nil {
		each := application.EachError(err, events)
		for i := range events {
			if err := each(i); err != nil {
				m.failed[broker.Reason(err)].Inc()
				acknowledged--
			}
		}
	}
	m.acknowledged.Add(float64(acknowledged - receipt.Spooled))
	if receipt.Spooled > 0 {
		m.spooled.Add(float64(receipt.Spooled))
	}
}

func (m *publishMetrics) called(p broker.Publication) {
	m.batch.Observe(float64(p.Events))
	m.call.of(p.Err).histogram.Observe(p.Took.Seconds())
}

// Values of the label query.
const (
	queryEvent = "event"
	queryList  = "list"
)

// storeMetrics are those of the store, and of events on their whole way to it.
type storeMetrics struct {
	record      outcomes
	batch       prometheus.Observer
	event, list outcomes
	latency     *timing
}

func newStoreMetrics(r prometheus.Registerer) *storeMetrics {
	query := newHistogramVec(r, "store_query_duration_seconds",
		"How long the store took to answer; for a list, until its first event.", secondsBounds, labelQuery, labelOutcome)
	return &storeMetrics{
		record: outcomesOf(newHistogramVec(r, "store_record_duration_seconds", "How long transactions of the store took that record events.",
			secondsBounds, labelOutcome)),
		batch: newHistogramVec(r, "store_record_events", "Events in one transaction of the store.", batchBounds).WithLabelValues(),
		event: outcomesOf(query.MustCurryWith(prometheus.Labels{labelQuery: queryEvent})),
		list:  outcomesOf(query.MustCurryWith(prometheus.Labels{labelQuery: queryList})),
		latency: &timing{histogram: newHistogramVec(r, "event_latency_seconds",
			"From when the log took an event to when the store had it, of events that came since the start.", latencyBounds).WithLabelValues()},
	}
}

// recorded takes the outcome of a transaction of the store.
func (m *metrics) recorded(ctx context.Context, b application.Batch, took time.Duration, err error) {
	m.store.record.of(err).observe(ctx, took.Seconds())
	m.store.batch.Observe(float64(len(b.Entries)))
	if err != nil {
		return
	}
	now := time.Now()
	m.positions.advance(now, b)
	position, kept, traced := tracedPosition(ctx)
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Accepted.Before(m.started) {
			continue // a log that is read again says nothing about how long events take now
		}
		latency := max(0, now.Sub(e.Accepted).Seconds())
		if traced && e.Position == position {
			m.store.latency.observeIn(kept, latency)
			continue
		}
		m.store.latency.histogram.Observe(latency)
	}
}

// positions knows when the events were accepted that this instance recorded last.
type positions struct {
	mu sync.Mutex
	// progress is when something was last recorded, zero for never.
	progress time.Time
	// last is, by partition, when the last record was accepted.
	last map[int32]time.Time
}

func (p *positions) advance(now time.Time, b application.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress = now
	for i := range b.Entries {
		p.last[b.Entries[i].Position.Partition] = b.Entries[i].Accepted
	}
}

func (p *positions) of(partition int32) (accepted time.Time, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	accepted, known = p.last[partition]
	return accepted, known
}

func (p *positions) lastProgress() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}
