package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// lane publishes one call at a time. Its breaker knows how that goes.
type lane struct {
	log     *Log
	queue   chan []item
	breaker *breaker
	// watch opens the breaker when a publication does not end in time.
	watch *time.Timer
}

// item is one event on its way.
type item struct {
	ctx   context.Context //nolint:containedctx // an item waits in a queue on behalf of its call
	msg   *message.Message
	call  *call
	place int
	// probe says that the breaker waits for the outcome.
	probe bool
}

func newLane(l *Log, number int, timeout time.Duration) *lane {
	n := &lane{log: l, queue: make(chan []item, laneQueue), breaker: newBreaker(timeout, l.options.Breaker, l.logger.With("topic", l.topic, "lane", number))}
	n.watch = time.AfterFunc(timeout, n.expire)
	n.watch.Stop()
	return n
}

// enqueue has the items published, or fails them at once. probe says that they will tell whether the broker is back.
func (n *lane) enqueue(ctx context.Context, items []item) (queued, probe bool) {
	admitted, probe := n.breaker.admit()
	if !admitted && n.breaker.trial.Follow(ctx) {
		admitted, probe = n.breaker.admit()
	}
	switch {
	case !admitted:
		refuse(items)
		return false, false
	case probe:
		return n.enqueueProbe(items), true
	}
	select {
	case n.queue <- items:
		return true, false
	case <-ctx.Done():
		return false, false
	}
}

func (n *lane) enqueueProbe(items []item) (queued bool) {
	for i := range items {
		items[i].probe = true
	}
	select {
	case n.queue <- items:
		return true
	default: // what was queued before the breaker opened has not been refused yet
		n.breaker.abandon()
		refuse(items)
		return false
	}
}

func (n *lane) run() {
	var waiting []item
	for {
		if len(waiting) == 0 {
			var open bool
			if waiting, open = <-n.queue; !open {
				n.watch.Stop()
				return
			}
		}
		waiting = gather(waiting, n.queue)
		size := fitting(waiting)
		last := waiting[size-1].call
		failed, opened := n.publish(waiting[:size])
		switch {
		case opened:
			n.refuseQueued()
			refuse(waiting[size:])
			size = len(waiting)
		case failed:
			rest := ofCall(waiting[size:], last)
			refuse(rest)
			size += len(rest)
		}
		clear(waiting[:size])
		waiting = waiting[size:]
	}
}

// ofCall is what one call still has at the front: where it has failed so far, the rest must not overtake.
func ofCall(items []item, c *call) []item {
	for n, it := range items {
		if it.call != c {
			return items[:n]
		}
	}
	return items
}

// gather adds what already waits in the lane, up to a batch.
func gather(waiting []item, queue <-chan []item) []item {
	for len(waiting) < laneBatch {
		select {
		case more, open := <-queue:
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

// publish publishes those of the batch that may be, and returns whether that failed because the broker is away, and whether it
// opened the breaker.
func (n *lane) publish(batch []item) (failed, opened bool) {
	live := n.live(batch)
	if len(live) == 0 {
		return false, false
	}
	msgs := make([]*message.Message, len(live))
	for i, it := range live {
		msgs[i] = it.msg
	}
	start := n.breaker.begin()
	n.watch.Reset(n.breaker.timeout)
	err := n.log.publisher.Publish(n.log.topic, msgs...)
	n.watch.Stop()
	if observe := n.log.options.Observe; observe != nil {
		observe(Publication{Events: len(msgs), Took: time.Since(start), Err: err})
	}
	if err != nil {
		n.log.logger.Error("publication failed", "topic", n.log.topic, "events", len(msgs), "error", err)
	}
	each := application.EachError(err, len(live))
	failed = isAway(each, len(live))
	begun, opened := n.breaker.end(failed)
	if opened {
		n.log.askBroker(begun)
	}
	for i, it := range live {
		n.log.settle(it, asKind(each(i)))
	}
	return failed, opened
}

// live is what may be published: a probe, whoever waits for it, and while the breaker is closed all for which somebody
// waits. The others have been called unavailable already.
func (n *lane) live(batch []item) []item {
	live := batch[:0]
	for _, it := range batch {
		switch {
		case !n.breaker.lets(it.probe):
			it.call.settle(it.place, application.ErrNotSent)
		case it.probe || it.ctx.Err() == nil:
			live = append(live, it)
		}
	}
	return live
}

// isAway says whether a publication failed because the broker was away: nothing was taken, and not for the events' sake.
func isAway(each func(int) error, n int) bool {
	away := false
	for i := range n {
		err := asKind(each(i))
		if err == nil {
			return false
		}
		away = away || errors.Is(err, domain.ErrUnavailable) && !errors.Is(err, context.Canceled)
	}
	return away
}

// asKind returns err as a kind of domain: unavailable unless the publisher says otherwise.
func asKind(err error) error {
	if err == nil || errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrTooLarge) || errors.Is(err, domain.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}

// expire is called when a publication has taken the whole time-out.
func (n *lane) expire() {
	if begun, opened := n.breaker.expire(); opened {
		n.log.askBroker(begun)
		n.refuseQueued()
	}
}

// trip opens the breaker, unless the lane has published something after the given time.
func (n *lane) trip(after time.Time) {
	if n.breaker.trip(after) {
		n.refuseQueued()
	}
}

// refuseQueued fails what waits in the queue.
func (n *lane) refuseQueued() {
	for range len(n.queue) {
		select {
		case items, open := <-n.queue:
			if open && items[0].probe {
				n.breaker.abandon()
			}
			refuse(items)
		default:
			return
		}
	}
}

func refuse(items []item) {
	for _, it := range items {
		it.call.settle(it.place, application.ErrNotSent)
	}
}
