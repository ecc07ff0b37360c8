package consumer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// taken is a record in hand.
type taken struct {
	msg    *message.Message
	origin application.Origin
	entry  application.Entry
}

// process sees a batch through to its acks; false when it was cut off, or stopped while something was away: then nothing
// of the batch is acked. Messages that are not the consumer's any more are left out, also when that shows only while
// something is away.
func (c *Consumer) process(ctx context.Context, batch []*message.Message) (done bool) {
	if c.o.Observe != nil {
		var end func(bool)
		ctx, end = c.o.Observe(ctx, batch)
		defer func() { end(done) }()
	}
	for batch = held(batch); len(batch) > 0; batch = held(batch) {
		holding, release := hold(ctx, batch)
		done := c.processHeld(holding, batch)
		if lost := release(); done || !lost || ctx.Err() != nil {
			return done
		}
	}
	c.settled() // whatever the lost messages waited for
	return true
}

func (c *Consumer) processHeld(ctx context.Context, batch []*message.Message) bool {
	good := make([]taken, 0, len(batch))
	for _, msg := range batch {
		t := taken{msg: msg, origin: c.origin(msg)}
		var err error
		if t.entry, err = application.Decode(msg.Payload, t.origin, msg.Metadata); err == nil {
			good = append(good, t)
		} else if !c.giveUp(ctx, t, err, 1) {
			return false
		}
	}
	taken := c.takenWith(batch)
	if !c.record(ctx, good, taken) {
		return false
	}
	for _, msg := range batch {
		msg.Ack()
	}
	c.counts.consumed.Add(int64(len(batch)))
	c.progress.advance(taken)
	if c.catchUp != nil {
		c.catchUp.advance(taken)
	}
	return true
}

func (c *Consumer) origin(msg *message.Message) application.Origin {
	o, known := application.OriginFrom(msg.Context())
	if !known {
		c.unplaced++
		o = application.Origin{Position: application.Position{Offset: c.unplaced}, Topic: c.o.Topic, Time: time.Now()}
	}
	return o
}

// takenWith returns the offset behind the last record of each partition in the batch.
func (c *Consumer) takenWith(batch []*message.Message) map[int32]int64 {
	next := make(map[int32]int64, 1)
	for _, msg := range batch {
		if o, known := application.OriginFrom(msg.Context()); known {
			next[o.Partition] = o.Offset + 1
		}
	}
	return next
}

// record has the store take the records and how far they go, trying again until it does. Records that the store can never
// take are found by halving, and given up.
func (c *Consumer) record(ctx context.Context, records []taken, next map[int32]int64) bool {
	if c.o.Record == nil || len(records) == 0 && len(next) == 0 {
		return true
	}
	b := application.Batch{Topic: c.o.Topic, Entries: make([]application.Entry, len(records)), Taken: next}
	for i, r := range records {
		b.Entries[i] = r.entry
	}
	for wait := (backoff{}); ; {
		added, err := c.o.Record.Batch(ctx, b)
		if err == nil {
			c.recorded(ctx, records, added)
			return true
		}
		if len(records) > 0 && (errors.Is(err, domain.ErrInvalid) || errors.Is(err, domain.ErrTooLarge)) {
			if len(records) == 1 {
				return c.giveUp(ctx, records[0], err, wait.attempt+1) && c.record(ctx, nil, next)
			}
			half := len(records) / 2
			return c.record(ctx, records[:half], nil) && c.record(ctx, records[half:], next)
		}
		if ctx.Err() != nil {
			return false // that is not the store's fault
		}
		c.troubled("the store does not take events", "attempt", wait.attempt+1, "events", len(records),
			"topic", c.o.Topic, "behind", next, "error", err)
		if !wait.pause(ctx, c.stop) {
			return false
		}
	}
}

func (c *Consumer) recorded(ctx context.Context, records []taken, added int) {
	c.settled()
	c.counts.stored.Add(int64(added))
	c.counts.duplicates.Add(int64(len(records) - added))
	if !c.o.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for _, r := range records {
		c.o.Logger.DebugContext(c.recordContext(ctx, r.msg), "event consumed", "topic", r.origin.Topic, "partition", r.origin.Partition,
			"offset", r.origin.Offset, "eventId", r.entry.Event.ID().String())
	}
}

// recordContext is that of what is done for one record of the batch alone.
func (c *Consumer) recordContext(ctx context.Context, msg *message.Message) context.Context {
	if c.o.RecordContext == nil {
		return ctx
	}
	return c.o.RecordContext(ctx, msg)
}

// giveUp hands a record to the dead letters, trying again until they have it.
func (c *Consumer) giveUp(ctx context.Context, t taken, reason error, attempts int) bool {
	ctx = c.recordContext(ctx, t.msg)
	if c.o.GaveUp != nil {
		c.o.GaveUp(ctx, reason)
	}
	if c.o.DeadLetters == nil {
		c.counts.passedOver.Add(1)
		c.o.Logger.DebugContext(ctx, "record passed over", "topic", t.origin.Topic, "partition", t.origin.Partition,
			"offset", t.origin.Offset, "reason", reason)
		return true
	}
	letter := application.DeadLetter{
		Origin: t.origin, MessageID: t.msg.UUID, Value: t.msg.Payload, Headers: t.msg.Metadata,
		Reason: reason, Attempts: attempts, Consumer: c.o.Group,
	}
	for wait := (backoff{}); ; {
		err := c.o.DeadLetters.Keep(ctx, letter)
		if err == nil {
			c.settled()
			c.counts.deadLetters.Add(1)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		c.troubled("the dead letters cannot be kept", "attempt", wait.attempt+1, "topic", t.origin.Topic,
			"partition", t.origin.Partition, "offset", t.origin.Offset, "error", err)
		if !wait.pause(ctx, c.stop) {
			return false
		}
	}
}
