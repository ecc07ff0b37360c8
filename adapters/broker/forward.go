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
	// firstForwardPause is the first pause while the broker is away. The longest is no longer than the breaker refuses, which
	// forwarding has to find closed.
	firstForwardPause = 50 * time.Millisecond
	// spoolTick is how often the forwarder looks whether it is done, spoolReport how often it logs what waits.
	spoolTick   = time.Second
	spoolReport = 10 * time.Second
	// trimAfter is how many forwarded records may stay in the local log while more follow.
	trimAfter = 10_000
	// finishBelow is how few events may wait for requests to be made to wait until those are forwarded, too, and longestFinish
	// how long they wait for that at most.
	finishBelow   = laneBatch
	longestFinish = time.Second
)

// endOfTime is later than any record.
func endOfTime() time.Time { return time.Now().AddDate(100, 0, 0) }

// forwarding is the state of the one goroutine that forwards.
type forwarding struct {
	*Spool

	// held was read and did not fit into the last batch.
	held     *message.Message
	trimmed  int64
	reported time.Time
}

// forward publishes what the local log has, in order and one batch after another, until the spool is closed.
func (s *Spool) forward() {
	f := &forwarding{Spool: s, trimmed: s.forwarded.Load(), reported: time.Now()}
	tick := time.NewTicker(spoolTick)
	defer tick.Stop()
	for {
		batch, ok := f.next(tick.C)
		if !ok || !f.send(batch, batch) || !f.finish() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
		f.trim(ctx, len(batch) == 0)
		f.report(ctx)
		cancel()
	}
}

// finish publishes the last events while requests wait, which under load never leave the spool empty by themselves, and has
// them published directly from then on. It returns false after the spool's end.
func (f *forwarding) finish() (ok bool) {
	if !f.spooling.Load() || f.Status(context.Background()).Events > finishBelow {
		return true
	}
	f.mode.Lock()
	batch, waiting := f.drain(min(f.timeout/8, longestFinish))
	f.mode.Unlock()
	return f.send(batch, waiting)
}

// drain forwards until nothing is left, for no longer than patience. A batch that the broker did not take is returned, with what
// of it waits. Nobody appends meanwhile.
func (f *forwarding) drain(patience time.Duration) (batch, waiting []*message.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	over := time.NewTimer(patience)
	defer over.Stop()
	for ctx.Err() == nil {
		status := f.Status(ctx)
		if status.Err != nil {
			return nil, nil
		}
		if status.Events == 0 {
			f.leave()
			return nil, nil
		}
		batch, ok := f.next(over.C)
		if !ok {
			return nil, nil
		}
		if waiting := f.try(ctx, batch); len(waiting) > 0 {
			return batch, waiting
		}
		f.done(batch)
	}
	return nil, nil
}

// next returns what can be published in one go: each lane gets one publication, so that of a user no later event can succeed
// where an earlier one fails. It is empty after a tick, and not ok after the spool's end.
func (f *forwarding) next(tick <-chan time.Time) (batch []*message.Message, ok bool) {
	size := 0
	for len(batch) < laneBatch {
		msg := f.held
		f.held = nil
		if msg == nil && len(batch) == 0 {
			if msg, ok = f.await(tick); msg == nil {
				return nil, ok
			}
		} else if msg == nil {
			select {
			case msg = <-f.messages:
			default:
			}
		}
		if msg == nil {
			break
		}
		if size += len(msg.Payload); size > laneBatchBytes && len(batch) > 0 {
			f.held = msg
			break
		}
		batch = append(batch, msg)
	}
	return batch, true
}

func (f *forwarding) await(tick <-chan time.Time) (msg *message.Message, ok bool) {
	select {
	case <-f.closing:
		return nil, false
	default:
	}
	select {
	case <-f.closing:
		return nil, false
	case <-tick:
		return nil, true
	case msg, ok = <-f.messages:
		return msg, ok
	}
}

// send publishes what waits of the batch, and tries again until the broker has all of it, or the spool is closed.
func (f *forwarding) send(batch, waiting []*message.Message) (sent bool) {
	for pause := firstForwardPause; len(waiting) > 0; pause = min(2*pause, f.options.Breaker.OrDefault().Pause/2) {
		ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
		if waiting = f.try(ctx, waiting); len(waiting) > 0 {
			f.report(ctx)
		}
		cancel()
		if len(waiting) == 0 {
			break
		}
		select {
		case <-f.closing:
			return false
		case <-time.After(pause):
		}
	}
	f.done(batch)
	return true
}

// done acks the batch.
func (f *forwarding) done(batch []*message.Message) {
	if len(batch) == 0 {
		return
	}
	var size int64
	for _, msg := range batch {
		size += int64(len(msg.Payload))
		msg.Ack()
	}
	f.forwarded.Store(originOf(batch[len(batch)-1]).Offset + 1)
	f.bytes.Add(-size)
}

// originOf is where the local log has the message.
func originOf(msg *message.Message) application.Origin {
	origin, _ := application.OriginFrom(msg.Context())
	return origin
}

// try publishes the messages once, and returns those for which the broker was away.
func (f *forwarding) try(ctx context.Context, batch []*message.Message) (away []*message.Message) {
	again := make([]*message.Message, 0, len(batch))
	msgs := make([]*message.Message, 0, len(batch))
	for _, msg := range batch {
		origin := originOf(msg)
		entry, err := application.Decode(msg.Payload, origin, msg.Metadata)
		if err != nil {
			away = f.bury(ctx, away, msg, err)
			continue
		}
		again, msgs = append(again, encode(entry.Event, msg.Metadata)), append(msgs, msg)
	}
	each := application.EachError(f.direct.publish(ctx, again, f.timeout), len(again))
	for i, msg := range msgs {
		switch err := each(i); {
		case err == nil:
		case errors.Is(err, domain.ErrUnavailable):
			away = append(away, msg)
		default:
			away = f.bury(ctx, away, msg, err)
		}
	}
	return away
}

// bury keeps a message that the broker will never take: among the broker's dead letters, or if they do not take all of it either,
// among those of the local log, since nobody else has it. Where it cannot be kept now, it waits with the others.
func (f *forwarding) bury(ctx context.Context, away []*message.Message, msg *message.Message, reason error) []*message.Message {
	origin := originOf(msg)
	letter := application.DeadLetter{
		Origin: origin, MessageID: msg.UUID, Value: msg.Payload, Headers: msg.Metadata, Attempts: 1, Consumer: spoolGroup,
		Reason: fmt.Errorf("the broker does not take a spooled event: %w", reason),
	}
	err := f.letters.keepWhole(ctx, letter)
	if err != nil && !errors.Is(err, domain.ErrUnavailable) {
		err = NewDeadLetters(f.local.Publisher(), f.letters.topic, f.logger).Keep(ctx, letter)
	}
	if err != nil {
		return append(away, msg)
	}
	return away
}

// trim removes from the local log what has been forwarded, when there is enough of it or nothing else to do. The group's place
// follows the acks a little later.
func (f *forwarding) trim(ctx context.Context, idle bool) {
	forwarded := f.forwarded.Load()
	if f.trimmed == forwarded || !idle && forwarded-f.trimmed < trimAfter {
		return
	}
	places, err := f.local.Places(ctx, f.topic, spoolGroup)
	if err == nil {
		_, err = f.local.Trim(ctx, f.topic, endOfTime(), 0, places)
	}
	if err != nil {
		f.logger.Warn("what was forwarded stays in the spool for now", "error", err)
		return
	}
	f.trimmed = max(f.trimmed, places[0])
}

func (f *forwarding) report(ctx context.Context) {
	if !f.spooling.Load() || time.Since(f.reported) < spoolReport {
		return
	}
	f.reported = time.Now()
	status := f.Status(ctx)
	f.logger.Info("spooled events wait for the broker", "events", status.Events, "bytes", status.Bytes, "limit", status.Limit)
}
