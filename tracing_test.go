package netstreamflow_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// spanCollector takes spans as an OpenTelemetry collector does.
type spanCollector struct {
	collector.UnimplementedTraceServiceServer

	mu        sync.Mutex
	spans     []*tracepb.Span
	resources []string
}

// Export takes spans over gRPC.
func (c *spanCollector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.GetResourceSpans() {
		c.resources = append(c.resources, rs.GetResource().String())
		for _, ss := range rs.GetScopeSpans() {
			c.spans = append(c.spans, ss.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP takes them over HTTP.
func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	answer, err := c.Export(r.Context(), &request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	text, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(text)
}

// of returns the spans of a trace by name.
func (c *spanCollector) of(trace string) map[string][]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	byName := make(map[string][]*tracepb.Span)
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) == trace {
			byName[s.GetName()] = append(byName[s.GetName()], s)
		}
	}
	return byName
}

// withCollector has the services of this test send their spans to a collector.
func withCollector(t *testing.T) *spanCollector {
	t.Helper()
	c := &spanCollector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return c
}

const (
	traceID   = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerID  = "00f067aa0ba902b7"
	oneEvent  = `{"eventId":"0190a0a0-0000-7000-8000-000000000001","userId":"a user","eventType":"t"}`
	userOfOne = "a user"
)

// sendTraced posts as part of the caller's trace.
func sendTraced(t *testing.T, url, flags, contentType, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Traceparent", "00-"+traceID+"-"+callerID+"-"+flags)
	req.Header.Set("Tracestate", "vendor=state")
	req.Header.Set("Baggage", "secret=baggage")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%s %s", res.Status, body)
	}
}

// tracedBrokers are the brokers in which a trace must not be lost, with what makes each ready. Those on a real server run where
// there is one.
func tracedBrokers() map[string]func(*testing.T, *netstreamflow.Config) {
	memory := func(_ *testing.T, cfg *netstreamflow.Config) { cfg.Broker, cfg.Store = "memory:", "memory:" }
	brokers := map[string]func(*testing.T, *netstreamflow.Config){
		"memory":     memory,
		"sqlite-log": func(*testing.T, *netstreamflow.Config) {},
	}
	for _, scheme := range kafkaDrivers {
		brokers[scheme+"/fake"] = func(t *testing.T, cfg *netstreamflow.Config) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			cfg.Broker, cfg.Store = scheme+"://"+cluster.ListenAddrs()[0], "memory:"
		}
		brokers[scheme+"/real"] = func(t *testing.T, cfg *netstreamflow.Config) {
			cfg.Broker = scheme + "://" + brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")
			cfg.Topic = fmt.Sprintf("trace-%s-%d", scheme, time.Now().UnixNano())
			cfg.Group = cfg.Topic
		}
	}
	return brokers
}

// TestOneTrace follows an event from its client's trace to the transaction of the store, on each broker.
func TestOneTrace(t *testing.T) {
	for name, prepare := range tracedBrokers() {
		t.Run(name, func(t *testing.T) {
			spans := withCollector(t)
			t.Setenv("OTEL_SERVICE_NAME", "my-events")
			topic, system := "", ""
			o := observe(t, func(cfg *netstreamflow.Config) {
				prepare(t, cfg)
				topic = cfg.Topic
				system, _, _ = strings.Cut(cfg.Broker, ":")
			})
			awaitReady(t, o.url)
			sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
			awaitCount(t, o.url, 1)
			o.end() // which sends what is left
			if system == "confluent" {
				system = "kafka"
			}
			checkChain(t, spans, topic, system)
			if len(spans.resources) == 0 || !strings.Contains(spans.resources[0], "my-events") {
				t.Errorf("of the service %v", spans.resources)
			}
		})
	}
}

// checkChain finds the spans of one event, each the child of the one before it.
func checkChain(t *testing.T, spans *spanCollector, topic, system string) {
	t.Helper()
	found := spans.of(traceID)
	parent := callerID
	for _, want := range []struct {
		name string
		kind tracepb.Span_SpanKind
		has  []string
	}{
		{"POST /api/events", tracepb.Span_SPAN_KIND_SERVER, []string{"http.request.method=POST", "http.route=/api/events", "http.response.status_code=202"}},
		{"send " + topic, tracepb.Span_SPAN_KIND_PRODUCER, []string{"messaging.system=" + system, "messaging.destination.name=" + topic, "messaging.operation.type=send"}},
		{"process " + topic, tracepb.Span_SPAN_KIND_CONSUMER, []string{"messaging.system=" + system, "messaging.operation.type=process", "messaging.message.id=0190a0a0-0000-7000-8000-000000000001"}},
		{"store", tracepb.Span_SPAN_KIND_CLIENT, []string{"db.operation.name=record"}},
	} {
		if len(found[want.name]) != 1 {
			t.Fatalf("%d spans %q of %v", len(found[want.name]), want.name, found)
		}
		s := found[want.name][0]
		if hex.EncodeToString(s.GetParentSpanId()) != parent || s.GetKind() != want.kind || s.GetTraceState() != "vendor=state" {
			t.Errorf("%s: parent %x, want %s; kind %v, state %q", s.GetName(), s.GetParentSpanId(), parent, s.GetKind(), s.GetTraceState())
		}
		attributes := attributesOf(s)
		for _, a := range want.has {
			if !slices.Contains(attributes, a) {
				t.Errorf("%s lacks %s: %v", s.GetName(), a, attributes)
			}
		}
		if strings.Contains(strings.Join(attributes, " "), userOfOne) {
			t.Errorf("%s names the user: %v", s.GetName(), attributes)
		}
		parent = hex.EncodeToString(s.GetSpanId())
	}
	offset := slices.ContainsFunc(attributesOf(found["process "+topic][0]), func(a string) bool { return strings.HasPrefix(a, "messaging.kafka.offset=") })
	if offset != (system == "kafka") {
		t.Errorf("of %s, an offset of Kafka: %t", system, offset)
	}
	links := found["process "+topic][0].GetLinks()
	if len(links) != 1 {
		t.Fatalf("links %v", links)
	}
	batch := spans.of(hex.EncodeToString(links[0].GetTraceId()))["receive "+topic]
	if len(batch) != 1 || !bytes.Equal(batch[0].GetSpanId(), links[0].GetSpanId()) {
		t.Errorf("the link is to no batch: %v", batch)
	}
}

func attributesOf(s *tracepb.Span) (all []string) {
	for _, a := range s.GetAttributes() {
		v := a.GetValue()
		if v.GetStringValue() != "" {
			all = append(all, a.GetKey()+"="+v.GetStringValue())
		} else {
			all = append(all, fmt.Sprint(a.GetKey(), "=", v.GetIntValue()))
		}
	}
	return all
}

// TestTraceThroughSpool has an event wait in the spool, from which it goes on in its trace.
func TestTraceThroughSpool(t *testing.T) {
	spans := withCollector(t)
	k, address := newKafkaOnOff(t)
	k.on()
	o := observe(t, func(cfg *netstreamflow.Config) {
		cfg.Broker, cfg.Spool, cfg.PublishTimeout = "kafka://"+address, true, 2*time.Second
	})
	awaitPost(t, o.url, "user", http.StatusAccepted)
	k.off()
	sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
	if events := values(o.scrape()["netstreamflow_publish_acknowledged_events_total"])["durability=spool"]; events != 1 {
		t.Errorf("%v events are counted as spooled", events)
	}
	k.on()
	for end := time.Now().Add(patience); ; {
		if status, _ := get(t, o.url+"/api/events/0190a0a0-0000-7000-8000-000000000001"); status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the event does not come")
		}
	}
	o.end()
	checkChain(t, spans, "user-activity-events", "kafka")
}

// TestTraceOfBatch posts a large batch: it is one trace, of few spans, whatever the consumer makes of it.
func TestTraceOfBatch(t *testing.T) {
	spans := withCollector(t)
	o := observe(t, nil)
	const events = 10_000
	sendTraced(t, o.url+"/api/events/batch", "01", "application/x-ndjson", strings.Repeat(`{"userId":"u","eventType":"t"}`+"\n", events))
	awaitCount(t, o.url, events)
	o.awaitScrape("netstreamflow_consumer_records_total", "consumer=recorder", events)
	families := o.scrape()
	transactions := int(values(families["netstreamflow_store_record_events"])[""])
	o.end()
	found := spans.of(traceID)
	if len(found["POST /api/events/batch"]) != 1 || len(found["send user-activity-events"]) != 1 ||
		len(found["process user-activity-events"]) != transactions || len(found["store"]) != transactions {
		t.Errorf("%d transactions, and the trace has %d, %d, %d and %d spans", transactions, len(found["POST /api/events/batch"]),
			len(found["send user-activity-events"]), len(found["process user-activity-events"]), len(found["store"]))
	}
	size := fmt.Sprint("messaging.batch.message_count=", events)
	if send := found["send user-activity-events"]; len(send) == 1 && !slices.Contains(attributesOf(send[0]), size) {
		t.Errorf("%v", attributesOf(send[0]))
	}
}

// TestTracesOfManyCallers has a batch of the consumer with more traces than it goes on with.
func TestTracesOfManyCallers(t *testing.T) {
	spans := withCollector(t)
	gate := &gate{open: make(chan struct{})}
	o := observeWith(t, gate.drivers(), nil)
	const callers = 300
	var posting sync.WaitGroup
	for range 8 {
		posting.Go(func() {
			for range callers/8 + 1 {
				post(t, o.url, "u")
			}
		})
	}
	posting.Wait()
	close(gate.open)
	awaitCount(t, o.url, 8*(callers/8+1))
	o.end()
	spans.mu.Lock()
	defer spans.mu.Unlock()
	byBatch := map[string]int{}
	for _, s := range spans.spans {
		for _, l := range s.GetLinks() {
			byBatch[hex.EncodeToString(l.GetSpanId())]++
		}
	}
	most := 0
	for _, n := range byBatch {
		most = max(most, n)
	}
	if most != 100 {
		t.Errorf("a batch goes on with %d traces, want 100", most)
	}
}

// TestTraceOverGRPC sends spans by the other protocol.
func TestTraceOverGRPC(t *testing.T) {
	spans := &spanCollector{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, spans)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"+listener.Addr().String())
	o := observe(t, nil)
	sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
	awaitCount(t, o.url, 1)
	o.end()
	checkChain(t, spans, "user-activity-events", "sqlite-log")
}

// TestSampling keeps what the caller or the sampler does not want out of the collector, and the context in the record.
func TestSampling(t *testing.T) {
	spans := withCollector(t)
	o := observe(t, nil)
	sendTraced(t, o.url+"/api/events", "00", "application/json", oneEvent)
	awaitCount(t, o.url, 1)
	o.end()
	if found := spans.of(traceID); len(found) > 0 {
		t.Errorf("the caller does not keep its trace, and %v was sent", found)
	}
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	o = observe(t, nil)
	sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
	awaitCount(t, o.url, 1)
	o.end()
	if found := spans.of(traceID); len(found) > 0 {
		t.Errorf("nothing is sampled, and %v was sent", found)
	}
}

// TestTraceIsPassedOn looks at what a record says of its trace, with and without spans of this service.
func TestTraceIsPassedOn(t *testing.T) {
	for _, tracing := range []bool{false, true} {
		t.Run(fmt.Sprint("tracing=", tracing), func(t *testing.T) {
			if tracing {
				withCollector(t)
			}
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			o := observe(t, func(cfg *netstreamflow.Config) {
				cfg.Broker, cfg.Store = "kafka://"+cluster.ListenAddrs()[0], "memory:"
			})
			sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
			post(t, o.url, "nobody's trace")
			client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("user-activity-events"))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			byUser := map[string]map[string]string{}
			for len(byUser) < 2 {
				fetches := client.PollFetches(t.Context())
				if err := fetches.Err(); err != nil {
					t.Fatal(err)
				}
				fetches.EachRecord(func(r *kgo.Record) {
					headers := map[string]string{}
					for _, h := range r.Headers {
						headers[h.Key] = string(h.Value)
					}
					byUser[string(r.Key)] = headers
				})
			}
			mine, other := byUser[userOfOne], byUser["nobody's trace"]
			passed := "00-" + traceID + "-" + callerID + "-01"
			if got := mine["traceparent"]; !tracing && got != passed || tracing && (got == passed || !strings.HasPrefix(got, "00-"+traceID+"-")) {
				t.Errorf("traceparent %q", got)
			}
			if mine["tracestate"] != "vendor=state" || mine["baggage"] != "" {
				t.Errorf("%v", mine)
			}
			if _, there := other["traceparent"]; there != tracing {
				t.Errorf("of a request without a trace: %v", other)
			}
		})
	}
}

// TestCollectorAway has nobody, or somebody who never answers, where the spans are to go: events are taken all the same, and
// the service ends in time.
func TestCollectorAway(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for protocol, address := range map[string]string{"grpc": refusing.Addr().String(), "http/protobuf": silent.Addr().String()} {
		t.Run(protocol, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600") // fewer than there will be
			o := observe(t, func(cfg *netstreamflow.Config) { cfg.ShutdownTimeout = 10 * time.Second })
			var slowest time.Duration
			for range 500 {
				r := post(t, o.url, "user")
				if r.status != http.StatusAccepted {
					t.Fatalf("%d", r.status)
				}
				slowest = max(slowest, r.took)
			}
			awaitCount(t, o.url, 500)
			start := time.Now()
			o.end()
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("the end took %v", took)
			}
			if slowest > 5*time.Second {
				t.Errorf("the slowest of 500 answers took %v", slowest)
			}
		})
	}
}

// failsOnce is the SQLite store, whose first transaction fails.
type failsOnce struct {
	application.Store

	failed atomic.Bool
}

func (f *failsOnce) Record(ctx context.Context, b application.Batch) (int, error) {
	if f.failed.CompareAndSwap(false, true) {
		return 0, fmt.Errorf("%w: on purpose", domain.ErrUnavailable)
	}
	return f.Store.Record(ctx, b)
}

// TestTraceOfRetry has the store fail once: the trace shows the transaction that failed, and the one that did not.
func TestTraceOfRetry(t *testing.T) {
	spans := withCollector(t)
	d, f := netstreamflow.BuiltIn(), &failsOnce{}
	sqlite := d.Stores["sqlite"]
	d.Stores["sqlite"] = func(ctx context.Context, url string, o store.Options) (_ application.Store, err error) {
		f.Store, err = sqlite(ctx, url, o)
		return f, err
	}
	o := observeWith(t, d, nil)
	sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
	awaitCount(t, o.url, 1)
	families := o.scrape()
	if got := values(families["netstreamflow_store_record_duration_seconds"])["outcome=failed"]; got != 1 {
		t.Errorf("%v transactions are counted as failed", got)
	}
	if got := values(families["netstreamflow_consumer_retries_total"])["consumer=recorder"]; got != 1 {
		t.Errorf("%v retries", got)
	}
	o.end()
	found := spans.of(traceID)
	var outcomes []string
	for _, s := range found["store"] {
		outcomes = append(outcomes, fmt.Sprint(s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
			slices.Contains(attributesOf(s), "error.type=unavailable")))
	}
	if !slices.Equal(outcomes, []string{"true true", "false false"}) || len(found["process user-activity-events"]) != 1 {
		t.Errorf("%v of %v", outcomes, found)
	}
	if s := found["process user-activity-events"]; len(s) == 1 && s[0].GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		t.Error("what succeeded in the end is an error")
	}
}

// TestLogNamesTrace finds the lines of a request by its trace.
func TestLogNamesTrace(t *testing.T) {
	withCollector(t)
	var log bytes.Buffer
	o := observe(t, func(cfg *netstreamflow.Config) { cfg.LogOutput, cfg.LogFormat, cfg.LogLevel = &log, "json", -4 })
	sendTraced(t, o.url+"/api/events", "01", "application/json", oneEvent)
	awaitCount(t, o.url, 1)
	o.end()
	found := map[string]bool{}
	for line := range bytes.Lines(log.Bytes()) {
		var entry struct {
			Msg     string `json:"msg"`
			TraceID string `json:"trace_id"`
			SpanID  string `json:"span_id"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if entry.TraceID == traceID && len(entry.SpanID) == 16 {
			found[entry.Msg] = true
		}
	}
	for _, message := range []string{"request", "event published"} {
		if !found[message] {
			t.Errorf("no line %q names the trace: %v", message, found)
		}
	}
}

// TestTraceOfDeadLetter has records of one batch that are in traces of their own, one of them never reaching the store: the lines
// of each name its trace, and the traces tell them apart.
func TestTraceOfDeadLetter(t *testing.T) {
	t.Run("recorder", func(t *testing.T) { traceDeadLetter(t, netstreamflow.DefaultConfig().Store, "recorder") })
	t.Run("inspector", func(t *testing.T) { traceDeadLetter(t, "memory:", "inspector") })
}

// traceDeadLetter has the named consumer keep the dead letter.
func traceDeadLetter(t *testing.T, store, keeper string) {
	t.Helper()
	spans := withCollector(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "user-activity-events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	const bad, good, unkept = "1bf92f3577b34da6a3ce929d0e0e4736", "2bf92f3577b34da6a3ce929d0e0e4736", "3bf92f3577b34da6a3ce929d0e0e4736"
	produce(t, cluster, map[string]string{
		"00-" + bad + "-" + callerID + "-01":    `{"userId":"secret user"`,
		"00-" + good + "-" + callerID + "-01":   oneEvent,
		"00-" + unkept + "-" + callerID + "-00": `{"userId":"u","eventType":"t"}`,
		"":                                      `{"userId":"v","eventType":"t"}`,
	})
	var log bytes.Buffer
	o := observe(t, func(cfg *netstreamflow.Config) {
		cfg.Broker, cfg.Store, cfg.LogOutput, cfg.LogFormat, cfg.LogLevel = "kafka://"+cluster.ListenAddrs()[0], store, &log, "json", -4
	})
	awaitCount(t, o.url, 3)
	o.awaitScrape("netstreamflow_consumer_dead_letters_total", "consumer="+keeper, 1)
	o.end()
	traces := map[string][]string{}
	for line := range bytes.Lines(log.Bytes()) {
		var entry struct {
			Msg     string `json:"msg"`
			TraceID string `json:"trace_id"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		traces[entry.Msg] = append(traces[entry.Msg], entry.TraceID)
	}
	slices.Sort(traces["event consumed"])
	if !slices.Equal(traces["dead letter"], []string{bad}) || !slices.Equal(traces["event consumed"], []string{"", good, unkept}) {
		t.Errorf("the lines name %v and %v", traces["dead letter"], traces["event consumed"])
	}
	lost, stored := spans.of(bad), spans.of(good)
	if len(lost["store"]) != 0 || len(stored["store"]) != 1 || len(lost["process user-activity-events"]) != 1 {
		t.Fatalf("%v and %v", lost, stored)
	}
	s := lost["process user-activity-events"][0]
	text := strings.Join(attributesOf(s), " ") + s.GetStatus().GetMessage()
	if s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || !slices.Contains(attributesOf(s), "error.type=invalid") || strings.Contains(text, "secret") {
		t.Errorf("of the dead letter: %v %s", s.GetStatus(), text)
	}
	if s := stored["process user-activity-events"][0]; s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("of the event: %v", s.GetStatus())
	}
}

// produce puts records into the topic of the events as another producer does, each with its traceparent.
func produce(t *testing.T, cluster *kfake.Cluster, values map[string]string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("user-activity-events"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for parent, value := range values {
		r := kgo.StringRecord(value)
		if parent != "" {
			r.Headers = []kgo.RecordHeader{{Key: "traceparent", Value: []byte(parent)}}
		}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMain keeps the environment's own OpenTelemetry out of the tests.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}
