package broker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// defaultPatience is the publish time-out where the options name none.
	defaultPatience = 10 * time.Second
	// probePatience is how long the callers wait whose events are the probe of an open breaker; the publication goes on.
	probePatience = time.Second
	// askTimeout bounds the question to a broker whether it is away as a whole.
	askTimeout = time.Second
)

// Log publishes events through a Watermill publisher with natural batching: while one Publish call is under way the next
// batch gathers, so that nothing waits at low load and the cost of an event falls as the load grows. Events are spread over
// lanes by user, each lane one call at a time, which keeps a user's events in order. A lane whose publications fail because
// the broker is away refuses events at once, and tries one publication a second until one succeeds. It implements
// [application.Log].
type Log struct {
	publisher message.Publisher
	pinger    Pinger
	options   Options
	topic     string
	logger    *slog.Logger
	lanes     []*lane
	running   sync.WaitGroup
	published atomic.Int64
	asking    atomic.Bool

	mu     sync.RWMutex
	closed bool
}

// call is one Publish of the log: it gathers what becomes of its events.
type call struct {
	mu   sync.Mutex
	left int
	errs application.PublishError
	done chan struct{}
}

var errClosed = fmt.Errorf("%w: the log is closed", domain.ErrUnavailable)

var errPending = fmt.Errorf("%w: the broker did not acknowledge in time", domain.ErrUnavailable)

// NewLog returns a log on the topic of the options, of which it takes the publish time-out, the logger and the hooks, too; its
// Close must be called.
func NewLog(b Broker, o Options) *Log {
	lanes := 1
	if l, ok := b.(Laned); ok {
		lanes = max(1, l.Lanes())
	}
	timeout := o.PublishTimeout
	if timeout <= 0 {
		timeout = defaultPatience
	}
	l := &Log{publisher: b.Publisher(), options: o, topic: o.Topic, logger: o.Logger, lanes: make([]*lane, lanes)}
	l.pinger, _ = b.(Pinger)
	for i := range l.lanes {
		l.lanes[i] = newLane(l, i, timeout)
	}
	for _, lane := range l.lanes {
		l.running.Go(lane.run)
	}
	return l
}

// Publish implements [application.Log].
func (l *Log) Publish(ctx context.Context, events []domain.Event) (application.Receipt, error) {
	return application.Receipt{}, l.publish(ctx, l.options.encodeAll(ctx, events), probePatience)
}

// publish waits for no longer than patience where the events are the probe of an open breaker.
func (l *Log) publish(ctx context.Context, msgs []*message.Message, patience time.Duration) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return errClosed
	}
	if len(msgs) == 0 {
		return nil
	}
	c := &call{left: len(msgs), errs: make(application.PublishError, len(msgs)), done: make(chan struct{})}
	for i := range c.errs {
		c.errs[i] = errPending
	}
	var probes, queued int
	for lane, items := range l.spread(ctx, c, msgs) {
		if len(items) == 0 {
			continue
		}
		ok, probe := l.lanes[lane].enqueue(ctx, items)
		if ok {
			queued++
		}
		if ok && probe {
			probes++
		}
		if ctx.Err() != nil {
			return c.outcome()
		}
	}
	if queued > 0 && probes == queued {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	return c.outcome()
}

// spread makes the items of each lane. They go there together, as the lane would publish the first one alone.
func (l *Log) spread(ctx context.Context, c *call, msgs []*message.Message) [][]item {
	items := make([][]item, len(l.lanes))
	for i, msg := range msgs {
		lane := l.laneOf(msg.Metadata[KeyMetadata])
		items[lane] = append(items[lane], item{ctx: ctx, msg: msg, call: c, place: i})
	}
	return items
}

func (l *Log) laneOf(user string) int { return Partition([]byte(user), len(l.lanes)) }

// Published is how many events have been made durable.
func (l *Log) Published() int64 { return l.published.Load() }

// Refusal tells of how many partitions a [Log] refuses events.
type Refusal struct {
	// Lanes is how many there are, Open how many have a broker that is away, and Due how many of those would let the next
	// publication try whether it is back.
	Lanes, Open, Due int
	// Since is when the first of them opened, zero without one.
	Since time.Time
}

// Refusal tells what is refused now. It costs next to nothing and is safe for concurrent use.
func (l *Log) Refusal() Refusal {
	r := Refusal{Lanes: len(l.lanes)}
	for _, lane := range l.lanes {
		since, open, due := lane.breaker.state()
		if !open {
			continue
		}
		r.Open++
		if due {
			r.Due++
		}
		if r.Since.IsZero() || since.Before(r.Since) {
			r.Since = since
		}
	}
	return r
}

// Quiet tells, of the partitions that would let the next publication try whether their broker is back, how many have had none
// that failed for the period: nobody knows whether it is still away.
func (l *Log) Quiet(period time.Duration) (n int) {
	for _, lane := range l.lanes {
		if lane.breaker.quiet(period) {
			n++
		}
	}
	return n
}

// Transitions are those of all partitions' breakers. It is safe for concurrent use.
func (l *Log) Transitions() (t circuit.Transitions) {
	for _, lane := range l.lanes {
		t.Opened += lane.breaker.opened.Load()
		t.Tried += lane.breaker.tried.Load()
		t.Closed += lane.breaker.reclosed.Load()
	}
	return t
}

// Close waits for the calls under way, and for what they gave to the publisher. The publisher stays open.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for _, lane := range l.lanes {
		close(lane.queue)
	}
	l.running.Wait()
}

// askBroker has all lanes refuse events that have published nothing since the time when the broker does not answer: each
// would find out only by a publication of its own, whose callers wait. It does not wait, and does nothing for a log that is
// closing.
func (l *Log) askBroker(since time.Time) {
	if l.pinger == nil || len(l.lanes) == 1 || !l.mu.TryRLock() {
		return
	}
	defer l.mu.RUnlock()
	if l.closed || !l.asking.CompareAndSwap(false, true) {
		return
	}
	l.running.Go(func() {
		defer l.asking.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		if l.pinger.Ping(ctx) == nil {
			return
		}
		for _, lane := range l.lanes {
			lane.trip(since)
		}
	})
}

// settle tells the item's call what has become of its event.
func (l *Log) settle(it item, err error) {
	it.call.settle(it.place, err)
	if err == nil {
		l.published.Add(1)
		l.logPublished(it)
	}
}

func (l *Log) logPublished(it item) {
	if !l.logger.Enabled(it.ctx, slog.LevelDebug) {
		return
	}
	o, _ := application.OriginFrom(it.msg.Context())
	l.logger.DebugContext(it.ctx, "event published",
		"topic", l.topic, "partition", o.Partition, "offset", o.Offset, "eventId", it.msg.UUID)
}

func (c *call) settle(place int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs[place] = err
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// outcome is the error of the call as things stand.
func (c *call) outcome() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.errs.OrNil() == nil {
		return nil
	}
	return slices.Clone(c.errs)
}
