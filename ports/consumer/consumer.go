// Package consumer is the driving port on the side of the log: it takes records from a Watermill subscriber, calls the
// use case that records them, and acks.
package consumer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
)

const (
	// maxBatch and maxBatchBytes bound what one call of the store records.
	maxBatch      = 2000
	maxBatchBytes = 8 << 20
	// A stopping consumer goes on with what is already there until nothing has come for drainIdle, at the longest for
	// drainLimit.
	drainIdle  = 250 * time.Millisecond
	drainLimit = 5 * time.Second
	// noSubscription stands in the place of a batch in hand.
	noSubscription = -1
)

// Options say what a consumer does with the records of a topic.
type Options struct {
	Topic string
	// Group is the consumer group, "" for one that reads the whole log.
	Group string
	// Record takes the events into the store; nil: records are only checked.
	Record *application.Record
	// DeadLetters keeps what can never be processed; nil: such records are passed over, another consumer sees to them.
	DeadLetters application.DeadLetters
	// From is where the subscription begins, for the progress of catching up; a partition that is not there begins at its first
	// record.
	From map[int32]int64
	// Bounds tells where the log stands, for a consumer that is ready only once it has caught up with that; nil: it is ready
	// when it has subscribed.
	Bounds func(ctx context.Context) (map[int32]application.Bounds, error)
	// Observe is told of each batch that the consumer has in hand, nil: nobody is. The context that it returns goes with all
	// that is done for the batch, and end is called when that is done, with whether the whole batch is acked.
	Observe func(ctx context.Context, batch []*message.Message) (processing context.Context, end func(done bool))
	// RecordContext returns, from the context of a batch, that of what is done for one record of it alone, such as its lines in the
	// log; nil: it is the same.
	RecordContext func(processing context.Context, msg *message.Message) context.Context
	// GaveUp is told, in the context of the record, why it is given up, nil: nobody is.
	GaveUp func(record context.Context, reason error)
	// Assigned tells the partitions that the subscriber has; nil where it cannot. What it returns is nil while the subscriber is no
	// member of its group.
	Assigned func() []int32
	Logger   *slog.Logger
}

// Consumer records what comes from the log, in batches of whatever is ready, in the order of each partition. It acks a
// record only after the store has its event, or the dead letters have the record. A failure that may pass is tried again
// with back-off for as long as it takes: nothing is skipped, nothing overtakes.
type Consumer struct {
	sub   message.Subscriber
	o     Options
	stop  chan struct{}
	ended chan struct{}
	// onceStopped and onceSubscribed guard the closing of stop and subscribed.
	onceStopped, onceSubscribed sync.Once

	subscribed chan struct{}
	catchUp    *catchUp
	membership membership
	trouble    atomic.Pointer[trouble]
	// inHand is the number of the batch in hand, 0 while a subscription waits for one, or noSubscription.
	inHand   atomic.Int64
	counts   counters
	progress progress
	// unplaced numbers records of brokers that tell no position.
	unplaced int64
}

// trouble is what the consumer is trying again.
type trouble struct {
	what  string
	since time.Time
}

type counters struct{ consumed, stored, duplicates, deadLetters, passedOver, retries atomic.Int64 }

// Stats are counts since the start.
type Stats struct{ Consumed, Stored, Duplicates, DeadLetters, PassedOver, Retries int64 }

// New returns a consumer, which owns the subscriber from now on.
func New(sub message.Subscriber, o Options) *Consumer {
	c := &Consumer{
		sub: sub, o: o,
		stop: make(chan struct{}), ended: make(chan struct{}), subscribed: make(chan struct{}),
		unplaced: time.Now().UnixMicro(),
	}
	c.inHand.Store(noSubscription)
	if o.Bounds != nil {
		c.catchUp = newCatchUp(o, c.inHand.Load)
	}
	return c
}

// Run consumes until Stop, or until ctx ends, which cuts off what is under way, and closes the subscriber. It is called
// once. The error is that of ctx or of closing.
func (c *Consumer) Run(ctx context.Context) error {
	defer close(c.ended)
	subscription, unsubscribe := context.WithCancel(ctx)
	defer unsubscribe()
	var watching sync.WaitGroup
	if c.catchUp != nil {
		watching.Go(func() { c.catchUp.watch(subscription) })
	}
	for wait := (backoff{}); !c.stopping() && ctx.Err() == nil; {
		msgs, err := c.sub.Subscribe(subscription, c.o.Topic)
		if err == nil {
			c.settled()
			c.onceSubscribed.Do(func() {
				c.membership.begin()
				close(c.subscribed)
			})
			wait = backoff{}
			c.consume(ctx, msgs)
		} else {
			c.troubled("the broker gives no subscription", "attempt", wait.attempt+1, "error", err)
		}
		wait.pause(ctx, c.stop)
	}
	unsubscribe()
	err := c.sub.Close()
	watching.Wait()
	return errors.Join(ctx.Err(), err)
}

// Stop asks Run to end at a clean place: what is in hand is finished. It may be repeated, and does not wait.
func (c *Consumer) Stop() { c.onceStopped.Do(func() { close(c.stop) }) }

func (c *Consumer) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// Subscribed is closed when the first subscription stands.
func (c *Consumer) Subscribed() <-chan struct{} { return c.subscribed }

// CaughtUp is closed when a consumer with Options.Bounds has taken the log up to where it stood at the start.
func (c *Consumer) CaughtUp() <-chan struct{} { return c.catchUp.caughtUp }

// Progress returns how many offsets are behind a consumer with Options.Bounds, of how many; 0 of 0 before they are known.
func (c *Consumer) Progress() (taken, total int64) { return c.catchUp.progress() }

// consume processes batches until the channel is closed, or the consumer is to stop.
func (c *Consumer) consume(ctx context.Context, msgs <-chan *message.Message) {
	defer c.inHand.Store(noSubscription)
	for n := int64(1); ; n++ {
		c.inHand.Store(0)
		select {
		case msg, open := <-msgs:
			c.inHand.Store(n)
			if !open || !c.process(ctx, gather(msg, msgs)) {
				return
			}
		case <-c.stop:
			c.drain(ctx, msgs)
			return
		case <-ctx.Done():
			return
		}
	}
}

// drain finishes what has already come, so that a restart finds little to do again. A view of the whole log, which starts
// over anyway, is spared it.
func (c *Consumer) drain(ctx context.Context, msgs <-chan *message.Message) {
	if c.catchUp != nil {
		return
	}
	limit := time.After(drainLimit)
	for {
		select {
		case msg, open := <-msgs:
			if !open || !c.process(ctx, gather(msg, msgs)) {
				return
			}
		case <-time.After(drainIdle):
			return
		case <-limit:
			return
		case <-ctx.Done():
			return
		}
	}
}

// gather adds to the first message those that are ready.
func gather(first *message.Message, msgs <-chan *message.Message) []*message.Message {
	batch := []*message.Message{first}
	for size := len(first.Payload); len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case msg, open := <-msgs:
			if !open {
				return batch
			}
			batch = append(batch, msg)
			size += len(msg.Payload)
		default:
			return batch
		}
	}
	return batch
}

// Stats returns the counts since the start.
func (c *Consumer) Stats() Stats {
	return Stats{
		Consumed: c.counts.consumed.Load(), Stored: c.counts.stored.Load(), Duplicates: c.counts.duplicates.Load(),
		DeadLetters: c.counts.deadLetters.Load(), PassedOver: c.counts.passedOver.Load(), Retries: c.counts.retries.Load(),
	}
}
