package netstreamflow

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// maxTraces bounds how many traces one batch of the consumer goes on with: one that takes a backlog must not make a span for
// each event of it.
const maxTraces = 100

// The headers of W3C Trace Context: in a request as net/http spells it, and in a record.
const (
	requestParent = "Traceparent"
	recordParent  = "traceparent"
	recordState   = "tracestate"
)

// maxState is the size of a tracestate up to which it is passed on, which is what the standard asks for: a caller's is repeated
// in each record of a batch.
const maxState = 512

// noHealth is the path whose requests are in no trace: they come from probes, every few seconds.
const noHealth = "/health/"

// tracing makes the spans of an event's way: the request, its publication, and its processing and recording on whatever
// instance takes it. The context of a trace goes from one to the other in the record's headers. No span says who the user is.
type tracing struct {
	// tracer is nil where no traces are wanted. What callers send is then passed on to the records all the same, as the
	// standard asks of those who take no part.
	tracer     trace.Tracer
	propagator propagation.TraceContext

	topic string
	// kafka says that offsets are those of Kafka: OpenTelemetry has no attribute for those of others.
	kafka bool
	// serving, sending, receiving, processing, recording and querying are what all spans of a kind have.
	serving, sending, receiving, processing, recording, querying []trace.SpanStartOption
}

func newTracing(cfg valid, tracer trace.Tracer) *tracing {
	all := func(kind trace.SpanKind, attributes ...attribute.KeyValue) []trace.SpanStartOption {
		return []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(attributes...)}
	}
	system, topic, group := messagingSystem(cfg.Broker), semconv.MessagingDestinationName(cfg.Topic), semconv.MessagingConsumerGroupName(cfg.Group)
	database := databaseSystem(cfg.Store)
	return &tracing{
		tracer: tracer, topic: cfg.Topic, kafka: system == semconv.MessagingSystemKafka,
		serving: all(trace.SpanKindServer),
		sending: all(trace.SpanKindProducer, system, topic, semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend),
		receiving: all(trace.SpanKindConsumer, system, topic, group,
			semconv.MessagingOperationName("receive"), semconv.MessagingOperationTypeReceive),
		processing: all(trace.SpanKindConsumer, system, topic, group,
			semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess),
		recording: all(trace.SpanKindClient, database, semconv.DBOperationName("record")),
		querying:  all(trace.SpanKindClient, database, semconv.DBOperationName("query")),
	}
}

func schemeOf(url string) string {
	scheme, _, _ := strings.Cut(strings.ToLower(url), ":")
	return scheme
}

func messagingSystem(url string) attribute.KeyValue {
	switch scheme := schemeOf(url); scheme {
	case "kafka", "confluent":
		return semconv.MessagingSystemKafka
	default:
		return semconv.MessagingSystemKey.String(scheme)
	}
}

func databaseSystem(url string) attribute.KeyValue {
	switch scheme := schemeOf(url); scheme {
	case "postgres", "postgresql":
		return semconv.DBSystemNamePostgreSQL
	case "sqlite":
		return semconv.DBSystemNameSQLite
	default:
		return semconv.DBSystemNameKey.String(scheme)
	}
}

// request begins the span of a request, which goes on with the caller's trace if there is one.
func (t *tracing) request(r *http.Request) *http.Request {
	if r.Header[requestParent] != nil {
		r = r.WithContext(t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
	}
	if t.tracer == nil || strings.HasPrefix(r.URL.Path, noHealth) {
		return r
	}
	ctx, span := t.tracer.Start(r.Context(), methodLabel(r.Method), t.serving...)
	if span.IsRecording() {
		span.SetAttributes(httpMethod(r.Method), semconv.URLScheme(scheme(r)),
			semconv.NetworkProtocolVersion(strings.TrimPrefix(r.Proto, "HTTP/")))
	}
	return r.WithContext(ctx)
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func httpMethod(method string) attribute.KeyValue {
	if methodLabel(method) == otherMethod {
		return semconv.HTTPRequestMethodOther
	}
	return semconv.HTTPRequestMethodKey.String(method)
}

// answered ends the span of a request. Its name and attributes have the route, and not the path, which names users.
func (t *tracing) answered(ctx context.Context, o rest.Observation) {
	if t.tracer == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if o.Route != "" {
		span.SetName(methodLabel(o.Method) + " " + o.Route)
		span.SetAttributes(semconv.HTTPRoute(o.Route))
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(o.Status))
	if o.Status >= http.StatusInternalServerError {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(o.Status)))
		span.SetStatus(codes.Error, http.StatusText(o.Status))
	}
	span.End()
}

// send begins the span of a publication, nil without tracing and in a trace that is not kept. The records' headers name it.
func (t *tracing) send(ctx context.Context, events []domain.Event) (context.Context, trace.Span) {
	if t.tracer == nil || isDropped(ctx) {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(ctx, "send "+t.topic, t.sending...)
	if span.IsRecording() {
		what := semconv.MessagingBatchMessageCount(len(events))
		if len(events) == 1 {
			what = semconv.MessagingMessageID(events[0].ID().String())
		}
		span.SetAttributes(what)
	}
	return ctx, span
}

// isDropped says whether the service has begun a span that is not kept. Neither are its children then, whatever the sampler, and
// making them is a good part of what traces cost.
func isDropped(ctx context.Context) bool {
	span := trace.SpanFromContext(ctx)
	parent := span.SpanContext()
	return parent.IsValid() && !parent.IsRemote() && !span.IsRecording()
}

// headers is [broker.Options.Headers]: what names the trace of ctx to whoever reads the record.
func (t *tracing) headers(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	headers := propagation.MapCarrier{}
	t.propagator.Inject(ctx, headers)
	if len(headers[recordState]) > maxState {
		delete(headers, recordState)
	}
	return headers
}

// tracedKey is that of the [tracedBatch] in a context.
type tracedKey struct{}

// tracedBatch is the traces that a batch of the consumer goes on with.
type tracedBatch struct {
	all []traced
	// of tells which of them a record is part of.
	of map[application.Position]int
}

// traced is one of them: the messages of a batch with the same parent.
type traced struct {
	//nolint:containedctx // the batch has many contexts, one for each trace
	ctx  context.Context
	span trace.Span
	// first is where the first of its messages is.
	first application.Position
	// unplaced says that the broker does not tell where they are.
	unplaced bool
}

// add takes a trace and its messages.
func (b *tracedBatch) add(one traced, msgs []*message.Message) {
	for _, msg := range msgs {
		if origin, known := application.OriginFrom(msg.Context()); known {
			b.of[origin.Position] = len(b.all)
		} else {
			one.unplaced = true
		}
	}
	b.all = append(b.all, one)
}

// with returns, of each trace that the entries are part of, whether it is.
func (b *tracedBatch) with(entries []application.Entry) []bool {
	has := make([]bool, len(b.all))
	for i := range entries {
		if one, there := b.of[entries[i].Position]; there {
			has[one] = true
		}
	}
	for i := range b.all {
		has[i] = has[i] || b.all[i].unplaced && len(entries) > 0
	}
	return has
}

// batch is [consumer.Options.Observe]. Each trace that messages of the batch are part of gets a span for their processing,
// linked to that of the batch. A trace that is not kept costs nothing.
func (t *tracing) batch(ctx context.Context, msgs []*message.Message) (context.Context, func(done bool)) {
	byParent := make(map[string][]*message.Message)
	for _, msg := range msgs {
		parent := msg.Metadata[recordParent]
		if isSampled(parent) && (byParent[parent] != nil || len(byParent) < maxTraces) {
			byParent[parent] = append(byParent[parent], msg)
		}
	}
	if len(byParent) == 0 {
		return ctx, func(bool) {}
	}
	ctx, batch := t.tracer.Start(ctx, "receive "+t.topic, append(slices.Clip(t.receiving), trace.WithNewRoot(),
		trace.WithAttributes(semconv.MessagingBatchMessageCount(len(msgs))))...)
	traces := &tracedBatch{of: make(map[application.Position]int)}
	for _, parent := range slices.Sorted(maps.Keys(byParent)) {
		if one, kept := t.process(ctx, batch.SpanContext(), byParent[parent]); kept {
			traces.add(one, byParent[parent])
		}
	}
	return context.WithValue(ctx, tracedKey{}, traces), func(done bool) {
		for _, one := range traces.all {
			endSpan(one.span, unfinished(done))
		}
		endSpan(batch, unfinished(done))
	}
}

var errUnfinished = errors.New("cut off: the batch will be taken again")

func unfinished(done bool) error {
	if done {
		return nil
	}
	return errUnfinished
}

// isSampled says whether a traceparent, whose last two digits are its flags, asks for the trace to be kept.
func isSampled(parent string) bool {
	if parent == "" {
		return false
	}
	switch parent[len(parent)-1] {
	case '1', '3', '5', '7', '9', 'b', 'd', 'f':
		return true
	}
	return false
}

// process begins the span for messages with one parent, if their trace is kept.
func (t *tracing) process(ctx context.Context, batch trace.SpanContext, msgs []*message.Message) (one traced, kept bool) {
	origin, _ := application.OriginFrom(msgs[0].Context()) //nolint:contextcheck // only the origin is taken from it
	ctx = t.propagator.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), propagation.MapCarrier(msgs[0].Metadata))
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return traced{}, false // some producer's header that is none
	}
	options := slices.Clip(t.processing)
	if batch.IsSampled() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: batch}))
	}
	ctx, span := t.tracer.Start(ctx, "process "+t.topic, options...)
	if span.IsRecording() {
		span.SetAttributes(t.describe(msgs, origin.Position)...)
	}
	return traced{ctx: ctx, span: span, first: origin.Position}, span.IsRecording()
}

// describe tells of messages with one parent how many there are, or which it is that is in the log, perhaps more than once because
// the first acknowledgement was lost.
func (t *tracing) describe(msgs []*message.Message, first application.Position) []attribute.KeyValue {
	if slices.ContainsFunc(msgs, func(msg *message.Message) bool { return msg.UUID != msgs[0].UUID }) {
		return []attribute.KeyValue{semconv.MessagingBatchMessageCount(len(msgs))}
	}
	about := []attribute.KeyValue{
		semconv.MessagingMessageID(msgs[0].UUID), semconv.MessagingDestinationPartitionID(strconv.Itoa(int(first.Partition))),
	}
	if t.kafka {
		about = append(about, semconv.MessagingKafkaOffset(int(first.Offset)))
	}
	return about
}

// recordContext is [consumer.Options.RecordContext]: what is logged of a record names the record's own trace, whether that is
// kept or not, and never that of the batch, which is somebody else's, too.
func (t *tracing) recordContext(ctx context.Context, msg *message.Message) context.Context {
	if traces := tracesFrom(ctx); traces != nil {
		origin, _ := application.OriginFrom(msg.Context())
		if one, there := traces.of[origin.Position]; there {
			return trace.ContextWithSpan(ctx, traces.all[one].span)
		}
	}
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	if msg.Metadata[recordParent] == "" {
		return ctx
	}
	return t.propagator.Extract(ctx, propagation.MapCarrier(msg.Metadata))
}

// gaveUp is [consumer.Options.GaveUp]: the trace of a record that never reaches the store says so. The reason's own words may
// repeat what the record says.
func (t *tracing) gaveUp(ctx context.Context, reason error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	kind := broker.Reason(reason)
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	span.SetStatus(codes.Error, "a record is given up: "+kind)
}

func tracesFrom(ctx context.Context) *tracedBatch {
	traces, _ := ctx.Value(tracedKey{}).(*tracedBatch)
	return traces
}

// record begins a span for the transaction that records the entries in each trace that they are part of.
func (t *tracing) record(ctx context.Context, entries []application.Entry) []trace.Span {
	traces := tracesFrom(ctx)
	if traces == nil {
		return nil
	}
	size := trace.WithAttributes(semconv.DBOperationBatchSize(len(entries)))
	var spans []trace.Span
	for i, stored := range traces.with(entries) {
		if stored {
			_, span := t.tracer.Start(traces.all[i].ctx, "store", append(slices.Clip(t.recording), size)...)
			spans = append(spans, span)
		}
	}
	return spans
}

// tracedPosition returns where a message is that is part of a trace which is kept.
func tracedPosition(ctx context.Context) (application.Position, trace.SpanContext, bool) {
	traces := tracesFrom(ctx)
	if traces == nil || len(traces.all) == 0 {
		return application.Position{}, trace.SpanContext{}, false
	}
	return traces.all[0].first, traces.all[0].span.SpanContext(), true
}

// query begins the span of a question to the store, nil without tracing.
func (t *tracing) query(ctx context.Context, what string) (context.Context, trace.Span) {
	if t.tracer == nil {
		return ctx, nil
	}
	return t.tracer.Start(ctx, "query "+what, t.querying...)
}

// endSpan ends the span, if there is one.
func endSpan(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(broker.Reason(err)))
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// failure returns what failed on this side: what is not there, or is asked wrongly, is an answer too, and a caller that has
// gone wants none.
func failure(err error) error {
	if errors.Is(err, domain.ErrNotFound) || errors.Is(err, domain.ErrInvalid) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
