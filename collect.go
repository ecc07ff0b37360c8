package netstreamflow

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

const (
	// answerAge is how long an answer of a part serves scrapes, and answerLimit how old it may be when the part gives no other.
	answerAge   = time.Second
	answerLimit = time.Minute
	// scrapePatience is how long a scrape waits for answers. The parts have longer, for the next scrape.
	scrapePatience = time.Second
)

// collector reads at each scrape what is counted elsewhere, and asks broker, store and spool how they are. What a part does
// not answer in time is left out, or is that of the last scrape.
type collector struct {
	metrics   *metrics
	log       *broker.Log
	letters   *broker.Letters
	consumers consumers
	volatile  bool
	limits    bounds
	// credentials are those of HTTPS and of callers.
	credentials credentials

	bounds *answer[map[int32]application.Bounds]
	places *answer[map[int32]int64]
	parts  *answer[[]rest.Part]
	spool  *answer[broker.SpoolStatus]
	pings  *answer[answering]

	// ctx ends what is asked, running waits for it.
	ctx     context.Context //nolint:containedctx // it is that of all that is asked in the background
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// trails are by partition.
	trails map[int32]trail
}

func newCollector(cfg valid, t *telemetry, b broker.Broker, l *broker.Log, s *broker.Spool, st application.Store, c consumers,
	i inspecting, h *health, limits bounds, with credentials,
) *collector {
	n := &collector{
		metrics: t.metrics, log: l, letters: i.letters, consumers: c, volatile: st.Volatile(), limits: limits, credentials: with,
		trails: make(map[int32]trail),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.places = ask(func(ctx context.Context) (map[int32]int64, error) { return st.Positions(ctx, cfg.Topic) })
	n.parts = ask(func(ctx context.Context) ([]rest.Part, error) { return h.ready(ctx), nil })
	n.pings = ask(func(ctx context.Context) (answering, error) { return h.answering(ctx), nil })
	if measured, ok := b.(broker.Bounder); ok {
		n.bounds = ask(func(ctx context.Context) (map[int32]application.Bounds, error) {
			return measured.Bounds(ctx, cfg.Topic)
		})
	}
	if s != nil {
		n.spool = ask(func(ctx context.Context) (broker.SpoolStatus, error) {
			status := s.Status(ctx)
			return status, status.Err
		})
	}
	return n
}

// close ends what is still asked. A later scrape asks nothing.
func (c *collector) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
}

// start runs the question in the background, unless the collector is closed.
func (c *collector) start(question func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(question)
	}
	return !c.closed
}

// answer is what a part last said, which is asked in the background.
type answer[T any] struct {
	question func(context.Context) (T, error)

	mu    sync.Mutex
	value T
	// at is when the value came, zero without one. asked is when the part was last asked, under closed when it has answered.
	at, asked time.Time
	under     chan struct{}
}

// ask returns the answer to a question, nil for none. The question's context is bounded by pingTimeout.
func ask[T any](question func(context.Context) (T, error)) *answer[T] {
	if question == nil {
		return nil
	}
	done := make(chan struct{})
	close(done)
	return &answer[T]{question: question, under: done}
}

// refresh asks again unless that has just been done, or is under way. The channel is closed when there is an answer.
func (a *answer[T]) refresh(c *collector) <-chan struct{} {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.under:
	default:
		return a.under
	}
	if time.Since(a.asked) < answerAge {
		return a.under
	}
	under := make(chan struct{})
	if c.start(func() { a.take(c.ctx, under) }) {
		a.asked, a.under = time.Now(), under
	}
	return a.under
}

// take asks, and closes under when the answer is there.
func (a *answer[T]) take(ctx context.Context, under chan<- struct{}) {
	defer close(under)
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	value, err := a.question(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.at = time.Time{}
		return
	}
	a.value, a.at = value, time.Now()
}

// get returns the last answer, if it is one and not too old.
func (a *answer[T]) get() (value T, known bool) {
	value, _, known = a.from()
	return value, known
}

// from also tells when the answer came.
func (a *answer[T]) from() (value T, at time.Time, known bool) {
	if a == nil {
		return value, at, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value, a.at, !a.at.IsZero() && time.Since(a.at) < answerLimit
}

// await has all parts asked, and waits for their answers as long as a scrape may.
func (c *collector) await() {
	patience := time.NewTimer(scrapePatience)
	defer patience.Stop()
	for _, answered := range []<-chan struct{}{
		c.places.refresh(c), c.bounds.refresh(c), c.parts.refresh(c), c.pings.refresh(c), c.spool.refresh(c),
	} {
		if answered == nil {
			continue
		}
		select {
		case <-answered:
		case <-patience.C:
			return
		}
	}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// The metrics that are read.
var (
	descPublished = desc("log_published_events_total", "Events that the broker has made durable, those forwarded from the spool included.")

	descLanes       = desc("breaker_lanes", "Lanes, each with a circuit breaker, that events are published through.")
	descOpen        = desc("breaker_open_lanes", "Lanes whose circuit breaker is open: it refuses events, or would try one, and the last failed within 30 s or the broker does not answer.")
	descTransitions = desc("breaker_transitions_total", "How often circuit breakers went to a state.", labelBreaker, labelTo)

	descConsumed     = desc("consumer_records_total", "Records that the consumer has done with.", labelConsumer)
	descStored       = desc("consumer_stored_events_total", "Events that were new to the store.", labelConsumer)
	descDuplicates   = desc("consumer_duplicate_events_total", "Events that the store had already.", labelConsumer)
	descRetries      = desc("consumer_retries_total", "How often something was tried again because the broker or the store was away.", labelConsumer)
	descDeadLetters  = desc("consumer_dead_letters_total", "Records that became dead letters.", labelConsumer)
	descPassedOver   = desc("consumer_passed_over_records_total", "Records that cannot be processed and are left to another consumer.", labelConsumer)
	descUp           = desc("consumer_up", "Whether the consumer does its work: 1 or 0.", labelConsumer)
	descProgress     = desc("consumer_last_progress_timestamp_seconds", "When the store last took something from the log.")
	descLag          = desc("consumer_lag_records", "Records in the log that the store has not taken.", labelPartition)
	descLagSeconds   = desc("consumer_lag_seconds", "How old the oldest record is, at most, that the store has not taken; 0 without one.", labelPartition)
	descOpenLetters  = desc("dead_letters_open", "Dead letters that are neither requeued nor dropped.")
	descOldestLetter = desc("dead_letters_oldest_age_seconds", "How long ago the oldest of them was given up; 0 without one.")
	descSettled      = desc("dead_letters_settled_total", "Dead letters that this instance has requeued or dropped.", labelAction)
	descPosition     = desc("store_position", "Offset behind the last record that the store has taken.", labelPartition)
	descPart         = desc("part_up", "Whether a part of the service is up, as in /health/ready: 1 or 0.", labelPart)
	descReady        = desc("ready", "Whether all parts are up, as in /health/ready: 1 or 0.")
	descSpoolEvents  = desc("spool_events", "Events in the spool that wait for the broker.")
	descSpoolBytes   = desc("spool_bytes", "Size of the events in the spool.")
	descSpoolLimit   = desc("spool_limit_bytes", "Size of events up to which the spool takes more.")
	descSpoolingMode = desc("spool_active", "Whether events go to the spool: 1 or 0.")
)

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descPublished, descLanes, descOpen, descTransitions, descConsumed, descStored, descDuplicates, descRetries, descDeadLetters,
		descPassedOver, descUp, descProgress, descLag, descLagSeconds, descOpenLetters, descOldestLetter, descSettled, descPosition, descPart, descReady, descSpoolEvents,
		descSpoolBytes, descSpoolLimit, descSpoolingMode,
	} {
		ch <- d
	}
	for _, d := range slices.Concat(descriptionsOfBound, descriptionsOfCredentials) {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.await()
	to := emitter(ch)
	answers, _ := c.pings.get() // where that is not known, an open breaker is taken at its word
	c.collectLog(to, answers.broker)
	c.limits.collect(to, answers)
	c.credentials.collect(to)
	to.consumer("recorder", c.consumers.recorder)
	if c.consumers.inspector != nil {
		to.consumer("inspector", c.consumers.inspector)
	}
	if at := c.metrics.positions.lastProgress(); !at.IsZero() {
		to.gauge(descProgress, float64(at.UnixMilli())/1000)
	}
	c.collectLag(to)
	if c.letters != nil {
		to.letters(c.letters.Status())
	}
	if parts, known := c.parts.get(); known {
		to.parts(parts)
	}
	if s, known := c.spool.get(); known {
		to.gauge(descSpoolEvents, float64(s.Events))
		to.gauge(descSpoolBytes, float64(s.Bytes))
		to.gauge(descSpoolLimit, float64(s.Limit))
		to.gauge(descSpoolingMode, number(s.Spooling))
	}
}

func (c *collector) collectLog(to emitter, answers bool) {
	to.counter(descPublished, c.log.Published())
	to.gauge(descLanes, float64(c.log.Refusal().Lanes))
	to.gauge(descOpen, float64(openLanes(c.log, answers)))
	to.transitions("publish", c.log.Transitions())
}

func (e emitter) transitions(breaker string, t circuit.Transitions) {
	e.counter(descTransitions, t.Opened, breaker, "open")
	e.counter(descTransitions, t.Tried, breaker, "half_open")
	e.counter(descTransitions, t.Closed, breaker, "closed")
}

// collectLag compares how far the store has got with where the log ends.
func (c *collector) collectLag(to emitter) {
	places, known := c.places.get()
	if !known {
		return
	}
	bounds, at, measured := c.bounds.from()
	if !measured {
		bounds = nil
	}
	standing := make(map[int32]int64, len(bounds))
	maps.Copy(standing, places)
	for partition, b := range bounds {
		next := max(places[partition], b.First) // where it has taken nothing, it stands at the first
		standing[partition] = next
		label := strconv.Itoa(int(partition))
		to.gauge(descLag, float64(max(0, b.Next-next)), label)
		to.gauge(descLagSeconds, c.lagSeconds(partition, next, mark{at: at, next: b.Next}), label)
	}
	for partition, next := range standing {
		to.gauge(descPosition, float64(next), strconv.Itoa(int(partition)))
	}
}

// lagSeconds is how old the oldest record can be that the store lacks, which is the one at next: it came after the last one that
// this instance recorded, and after a scrape that found the partition to end before it.
func (c *collector) lagSeconds(partition int32, next int64, end mark) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trails[partition].follow(end, next)
	c.trails[partition] = t
	if end.next <= next {
		return 0
	}
	since, known := c.metrics.positions.of(partition)
	if !known || c.volatile && since.Before(c.metrics.started) {
		since = c.metrics.started // a view that is being rebuilt is not late because its log is old
	}
	if t[0].next <= next && t[0].at.After(since) {
		since = t[0].at
	}
	return max(0, time.Since(since).Seconds())
}

// maxMarks bounds a trail, which gets coarser instead of longer.
const maxMarks = 64

// trail is where a partition ended at scrapes, the earliest first. All of it but the first is ahead of the store.
type trail []mark

type mark struct {
	at   time.Time
	next int64
}

// follow adds where the partition ends now, unless that is too close to the last mark for how long the trail is, and drops what
// the store, which wants next, has passed.
func (t trail) follow(end mark, next int64) trail {
	if len(t) == 0 || end.at.Sub(t[len(t)-1].at) > end.at.Sub(t[0].at)/(maxMarks/2) {
		t = append(t, end)
	}
	passed := 0
	for passed+1 < len(t) && t[passed+1].next <= next {
		passed++
	}
	t = slices.Delete(t, 0, passed)
	if len(t) <= maxMarks {
		return t
	}
	coarse := t[:1]
	for i := 2; i < len(t); i += 2 {
		coarse = append(coarse, t[i])
	}
	return coarse
}

// emitter is where a scrape's metrics go.
type emitter chan<- prometheus.Metric

func (e emitter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (e emitter) counter(d *prometheus.Desc, value int64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (e emitter) consumer(name string, c *consumer.Consumer) {
	s := c.Stats()
	e.counter(descConsumed, s.Consumed, name)
	e.counter(descStored, s.Stored, name)
	e.counter(descDuplicates, s.Duplicates, name)
	e.counter(descRetries, s.Retries, name)
	e.counter(descDeadLetters, s.DeadLetters, name)
	e.counter(descPassedOver, s.PassedOver, name)
	up, _ := c.Status()
	e.gauge(descUp, number(up), name)
}

// letters leaves out what is not known before the topic of the dead letters has been read once.
func (e emitter) letters(s broker.LettersStatus) {
	e.counter(descSettled, s.Requeued, "requeued")
	e.counter(descSettled, s.Dropped, "dropped")
	if !s.Known {
		return
	}
	e.gauge(descOpenLetters, float64(s.Open))
	age := 0.0
	if !s.Oldest.IsZero() {
		age = time.Since(s.Oldest).Seconds()
	}
	e.gauge(descOldestLetter, age)
}

func (e emitter) parts(parts []rest.Part) {
	ready := true
	for _, p := range parts {
		e.gauge(descPart, number(p.Up), p.Name)
		ready = ready && p.Up
	}
	e.gauge(descReady, number(ready))
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
