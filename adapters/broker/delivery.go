package broker

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// The pause before a nacked message is delivered again: it doubles from the first to the longest.
const (
	firstRedelivery   = 50 * time.Millisecond
	longestRedelivery = 5 * time.Second
)

// Delivery hands the records of one partition to a subscriber's channel, in order and ahead of their acks, and tells how
// far they are acked without a gap. Once all before it is acked, a nacked message stops what follows until it has been
// delivered again and acked; what the receiver had taken by then it may see before it, so that a receiver which nacks and
// needs strict order asks for a window of 1. A delivered message's context is the one that the message came with, and ends
// with the message's ack or nack.
type Delivery struct {
	out   chan<- *message.Message
	acked func(next int64)
	room  *room
	// inFlight holds what was delivered and is not settled. It never blocks: room bounds it.
	inFlight chan inFlight
	// turn holds a token while a message is offered, and from a nack to the ack that follows it.
	turn    chan struct{}
	settled chan struct{}
	// gap says, once settled, that what was delivered last is not acked.
	gap bool
}

type inFlight struct {
	msg    *message.Message
	parent context.Context //nolint:containedctx // the context of a message is part of it
	offset int64
}

// NewDelivery returns a delivery to out with up to window messages that are not acked. acked is called, by one goroutine,
// with the offset behind the last of the records acked without a gap; several acks may make one call. The delivery ends
// with ctx, or after Drain.
func NewDelivery(ctx context.Context, out chan<- *message.Message, window int, acked func(next int64)) *Delivery {
	window = max(1, window)
	d := &Delivery{
		out: out, acked: acked, room: newRoom(window),
		inFlight: make(chan inFlight, window), turn: make(chan struct{}, 1), settled: make(chan struct{}),
	}
	go d.settle(ctx)
	return d
}

// Deliver hands over the record's message when there is room. One goroutine calls it, not after Drain nor after an error,
// which is that of ctx; the message was not delivered then. ctx must end when the delivery's does, or earlier.
func (d *Delivery) Deliver(ctx context.Context, msg *message.Message, offset int64) error {
	if err := d.room.enter(ctx, len(msg.Payload)); err != nil {
		return err
	}
	f := inFlight{msg: msg, parent: msg.Context(), offset: offset}
	if err := d.takeTurn(ctx); err != nil {
		return err
	}
	defer d.endTurn()
	if err := d.offer(ctx, f); err != nil {
		return err
	}
	d.inFlight <- f
	return nil
}

func (d *Delivery) takeTurn(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Delivery) endTurn() { <-d.turn }

func (d *Delivery) offer(ctx context.Context, f inFlight) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.msg.SetContext(&messageContext{Context: f.parent, msg: f.msg}) //nolint:contextcheck // the message has its own
	select {
	case d.out <- f.msg:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Drain returns when all that was delivered is acked, or the delivery's context has ended, and acked has been told;
// nothing may be delivered after it.
func (d *Delivery) Drain() {
	close(d.inFlight)
	<-d.settled
	if !d.gap {
		d.settleLate()
	}
}

// settleLate follows the acks of what the receiver took just as the context ended.
func (d *Delivery) settleLate() {
	next, told := int64(0), true
	for f := range d.inFlight {
		if !isAcked(f.msg) {
			break
		}
		next, told = f.offset+1, false
	}
	if !told {
		d.acked(next)
	}
}

// settle follows the acks in order.
func (d *Delivery) settle(ctx context.Context) {
	defer close(d.settled)
	var next int64
	told := true
	tell := func() {
		if !told {
			d.acked(next)
			told = true
		}
	}
	defer tell()
	for {
		f, ok := d.take(ctx, tell)
		if !ok {
			return
		}
		if !isAcked(f.msg) {
			tell()
			if !d.await(ctx, f) {
				d.gap = true
				return
			}
		}
		next, told = f.offset+1, false
		d.room.leave(len(f.msg.Payload))
	}
}

// take returns the next record that was delivered; it calls tell before it waits.
func (d *Delivery) take(ctx context.Context, tell func()) (f inFlight, ok bool) {
	select {
	case f, ok = <-d.inFlight:
		return f, ok
	default:
	}
	tell()
	select {
	case f, ok = <-d.inFlight:
		return f, ok
	case <-ctx.Done():
		return f, false
	}
}

// await returns true when the message, or one of its redeliveries, is acked.
func (d *Delivery) await(ctx context.Context, f inFlight) bool {
	select {
	case <-f.msg.Acked():
		return true
	case <-f.msg.Nacked():
		return d.redeliver(ctx, f)
	case <-ctx.Done():
		return isAcked(f.msg)
	}
}

// isAcked looks once more where the context and the ack came together.
func isAcked(msg *message.Message) bool {
	select {
	case <-msg.Acked():
		return true
	default:
		return false
	}
}

func (d *Delivery) redeliver(ctx context.Context, f inFlight) bool {
	if d.takeTurn(ctx) != nil {
		return false
	}
	defer d.endTurn()
	for pause := firstRedelivery; ; pause = min(2*pause, longestRedelivery) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
		again := inFlight{msg: f.msg.Copy(), parent: f.parent, offset: f.offset}
		if d.offer(ctx, again) != nil {
			return false
		}
		select {
		case <-again.msg.Acked():
			return true
		case <-again.msg.Nacked():
		case <-ctx.Done():
			return isAcked(again.msg)
		}
	}
}
