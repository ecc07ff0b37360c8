package broker

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// The pause before a nacked message is delivered again: it doubles from the first to the longest.
const (
	firstRedelivery   = 50 * time.Millisecond
	longestRedelivery = 5 * time.Second
)

// Delivery hands the records of one partition to a subscriber's channel, in order and ahead of their acks, and tells how
// far they are acked without a gap. A nack stops what follows until the message has been delivered again and acked; what
// the receiver had taken by then it may see once more, so that a receiver which nacks and needs strict order asks for a
// window of 1.
type Delivery struct {
	out      chan<- *message.Message
	inFlight chan inFlight
	acked    func(next int64)
	// turn is held while a message is offered, and from a nack to the ack that follows it.
	turn    sync.Mutex
	settled chan struct{}
}

type inFlight struct {
	msg    *message.Message
	offset int64
}

// NewDelivery returns a delivery to out with up to window messages that are not acked. acked is called, by one goroutine,
// with the offset behind the last of the records acked without a gap; several acks may make one call. The delivery ends
// with ctx, or after Drain.
func NewDelivery(ctx context.Context, out chan<- *message.Message, window int, acked func(next int64)) *Delivery {
	d := &Delivery{out: out, inFlight: make(chan inFlight, max(1, window)-1), acked: acked, settled: make(chan struct{})}
	go d.settle(ctx)
	return d
}

// Deliver hands over the record's message when there is room. One goroutine calls it, not after Drain; the error is that
// of ctx, which must end when the delivery's does.
func (d *Delivery) Deliver(ctx context.Context, msg *message.Message, offset int64) error {
	select {
	case d.inFlight <- inFlight{msg, offset}:
	case <-ctx.Done():
		return ctx.Err()
	}
	d.turn.Lock()
	defer d.turn.Unlock()
	return d.offer(ctx, msg)
}

func (d *Delivery) offer(ctx context.Context, msg *message.Message) error {
	select {
	case d.out <- msg:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Drain returns when all that was delivered is acked, or the delivery's context has ended; nothing is delivered after it.
func (d *Delivery) Drain() {
	close(d.inFlight)
	<-d.settled
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
				return
			}
		}
		next, told = f.offset+1, false
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
		return d.redeliver(ctx, f.msg)
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

func (d *Delivery) redeliver(ctx context.Context, msg *message.Message) bool {
	d.turn.Lock()
	defer d.turn.Unlock()
	for pause := firstRedelivery; ; pause = min(2*pause, longestRedelivery) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
		again := msg.CopyWithContext()
		if d.offer(ctx, again) != nil {
			return false
		}
		select {
		case <-again.Acked():
			return true
		case <-again.Nacked():
		case <-ctx.Done():
			return isAcked(again)
		}
	}
}
