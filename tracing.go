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
	// sending, receiving, processing, recording and querying are what all spans of a kind have.
	sending, receiving, processing, recording, querying []trace.SpanStartOption
}

func newTracing(cfg valid, tracer trace.Tracer) *tracing {
	all := func(kind trace.SpanKind, attributes ...attribute.KeyValue) []trace.SpanStartOption {
		return []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(attributes...)}
	}
	system, topic, group := messagingSystem(cfg.Broker), semconv.MessagingDestinationName(cfg.Topic), semconv.MessagingConsumerGroupName(cfg.Group)
	database := databaseSystem(cfg.Store)
	return &tracing{
		tracer: tracer, topic: cfg.Topic,
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
	ctx, _ := t.tracer.Start(r.Context(), methodLabel(r.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		httpMethod(r.Method), semconv.URLScheme(scheme(r)), semconv.NetworkProtocolVersion(strings.TrimPrefix(r.Proto, "HTTP/")),
	))
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

// send begins the span of a publication, nil without tracing. The records' headers name it.
func (t *tracing) send(ctx context.Context, events []domain.Event) (context.Context, trace.Span) {
	if t.tracer == nil {
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

// tracedKey is that of the traces that a batch of the consumer goes on with.
type tracedKey struct{}

// traced is one of them: the messages of a batch with the same parent.
type traced struct {
	//nolint:containedctx // the batch has many contexts, one for each trace
	ctx  context.Context
	span trace.Span
	// first is where the first of its messages is.
	first application.Position
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
	all := make([]traced, 0, len(byParent))
	for _, parent := range slices.Sorted(maps.Keys(byParent)) {
		if one, kept := t.process(ctx, batch.SpanContext(), byParent[parent]); kept {
			all = append(all, one)
		}
	}
	return context.WithValue(ctx, tracedKey{}, all), func(done bool) {
		for _, one := range all {
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
		if len(msgs) > 1 {
			span.SetAttributes(semconv.MessagingBatchMessageCount(len(msgs)))
		} else {
			span.SetAttributes(semconv.MessagingMessageID(msgs[0].UUID), semconv.MessagingKafkaOffset(int(origin.Offset)),
				semconv.MessagingDestinationPartitionID(strconv.Itoa(int(origin.Partition))))
		}
	}
	return traced{ctx: ctx, span: span, first: origin.Position}, span.IsRecording()
}

// record begins a span in each trace of the batch for the one transaction that records them all.
func (t *tracing) record(ctx context.Context, events int) []trace.Span {
	all, _ := ctx.Value(tracedKey{}).([]traced)
	if len(all) == 0 {
		return nil
	}
	size := trace.WithAttributes(semconv.DBOperationBatchSize(events))
	spans := make([]trace.Span, len(all))
	for i, one := range all {
		_, spans[i] = t.tracer.Start(one.ctx, "store", append(slices.Clip(t.recording), size)...)
	}
	return spans
}

// tracedPosition returns where a message is that is part of a trace which is kept.
func tracedPosition(ctx context.Context) (application.Position, trace.SpanContext, bool) {
	all, _ := ctx.Value(tracedKey{}).([]traced)
	if len(all) == 0 {
		return application.Position{}, trace.SpanContext{}, false
	}
	return all[0].first, all[0].span.SpanContext(), true
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
