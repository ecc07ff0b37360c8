package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// laneQueue is how many calls may have events wait in a lane before another one waits for room.
	laneQueue = 1024
	// laneBatch and laneBatchBytes bound one call of the publisher; a larger event goes alone.
	laneBatch      = 1000
	laneBatchBytes = 1 << 20
)

// Log publishes events through a Watermill publisher with natural batching: while one Publish call is under way the next
// batch gathers, so that nothing waits at low load and the cost of an event falls as the load grows. Events are spread over
// lanes by user, each lane one call at a time, which keeps a user's events in order. It implements [application.Log].
type Log struct {
	publisher message.Publisher
	topic     string
	logger    *slog.Logger
	lanes     []chan []item
	running   sync.WaitGroup
	published atomic.Int64

	mu     sync.RWMutex
	closed bool
}

// item is one event on its way.
type item struct {
	ctx   context.Context //nolint:containedctx // an item waits in a queue on behalf of its call
	msg   *message.Message
	call  *call
	place int
}

// call is one Publish of the log: it gathers what becomes of its events.
type call struct {
	mu   sync.Mutex
	left int
	errs application.PublishError
	done chan struct{}
}

var errPending = fmt.Errorf("%w: the broker did not acknowledge in time", domain.ErrUnavailable)

// NewLog returns a log on the topic; its Close must be called.
func NewLog(b Broker, topic string, logger *slog.Logger) *Log {
	lanes := 1
	if l, ok := b.(Laned); ok {
		lanes = max(1, l.Lanes())
	}
	l := &Log{publisher: b.Publisher(), topic: topic, logger: logger, lanes: make([]chan []item, lanes)}
	for i := range l.lanes {
		lane := make(chan []item, laneQueue)
		l.lanes[i] = lane
		l.running.Go(func() { l.run(lane) })
	}
	return l
}

// Publish implements [application.Log].
func (l *Log) Publish(ctx context.Context, events []domain.Event) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return fmt.Errorf("%w: the log is closed", domain.ErrUnavailable)
	}
	if len(events) == 0 {
		return nil
	}
	c := &call{left: len(events), errs: make(application.PublishError, len(events)), done: make(chan struct{})}
	for i := range c.errs {
		c.errs[i] = errPending
	}
	for lane, items := range l.spread(ctx, c, events) {
		if len(items) == 0 {
			continue
		}
		select {
		case l.lanes[lane] <- items:
		case <-ctx.Done():
			return c.outcome()
		}
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	return c.outcome()
}

// spread makes the items of each lane. They go there together, as the lane would publish the first one alone.
func (l *Log) spread(ctx context.Context, c *call, events []domain.Event) [][]item {
	items := make([][]item, len(l.lanes))
	for i, e := range events {
		lane := Partition([]byte(e.UserID()), len(l.lanes))
		items[lane] = append(items[lane], item{ctx: ctx, msg: encode(e), call: c, place: i})
	}
	return items
}

// Published is how many events have been made durable.
func (l *Log) Published() int64 { return l.published.Load() }

// Close waits for the calls under way, and for what they gave to the publisher. The publisher stays open.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for _, lane := range l.lanes {
		close(lane)
	}
	l.running.Wait()
}

func (l *Log) run(lane <-chan []item) {
	var waiting []item
	for {
		if len(waiting) == 0 {
			var open bool
			if waiting, open = <-lane; !open {
				return
			}
		}
		waiting = gather(waiting, lane)
		n := fitting(waiting)
		l.publish(waiting[:n])
		clear(waiting[:n])
		waiting = waiting[n:]
	}
}

// gather adds what already waits in the lane, up to a batch.
func gather(waiting []item, lane <-chan []item) []item {
	for len(waiting) < laneBatch {
		select {
		case more, open := <-lane:
			if !open {
				return waiting
			}
			waiting = append(waiting, more...)
		default:
			return waiting
		}
	}
	return waiting
}

// fitting is how many of the items make one batch.
func fitting(items []item) int {
	size := 0
	for n, it := range items[:min(len(items), laneBatch)] {
		if size += len(it.msg.Payload); size > laneBatchBytes {
			return max(n, 1)
		}
	}
	return min(len(items), laneBatch)
}

func (l *Log) publish(batch []item) {
	live := batch[:0]
	for _, it := range batch {
		if it.ctx.Err() == nil { // nobody waits for the others, and they have been called unavailable
			live = append(live, it)
		}
	}
	if len(live) == 0 {
		return
	}
	msgs := make([]*message.Message, len(live))
	for i, it := range live {
		msgs[i] = it.msg
	}
	err := l.publisher.Publish(l.topic, msgs...)
	if err != nil {
		l.logger.Error("publication failed", "topic", l.topic, "events", len(msgs), "error", err)
	}
	each := application.EachError(err, len(live))
	for i, it := range live {
		err := asKind(each(i))
		it.call.settle(it.place, err)
		if err == nil {
			l.published.Add(1)
			l.logPublished(it)
		}
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

// asKind returns err as a kind of domain: unavailable unless the publisher says otherwise.
func asKind(err error) error {
	if err == nil || errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrTooLarge) || errors.Is(err, domain.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
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
	for _, err := range c.errs {
		if err != nil {
			return append(application.PublishError(nil), c.errs...)
		}
	}
	return nil
}
