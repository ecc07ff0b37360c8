//go:build cgo

package confluent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// fullQueuePause is how long a publication waits before it tries again to put a record into librdkafka's full queue.
const fullQueuePause = 5 * time.Millisecond

// publisher implements [message.Publisher].
type publisher struct {
	options broker.Options
	client  *client
	topics  *topics

	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup
}

// Publish implements [message.Publisher] as the contract of a broker asks for it.
func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.running.Done()
	if len(msgs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.options.PublishTimeout)
	defer cancel()
	if err := p.topics.ensure(ctx, topic); err != nil {
		return err
	}
	b := newBatch(topic, msgs)
	again := isUnproven
	if p.send(ctx, b, b.all()) {
		again = isTransient
	}
	p.sendAgain(ctx, b, b.failed(again))
	p.separate(ctx, b)
	if b.anyFailed(isTransient) {
		p.topics.forget(topic) // it may have been deleted
	}
	return b.outcome()
}

// enter counts a call that Close must wait for.
func (p *publisher) enter() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return fmt.Errorf("%w: the publisher is closed", domain.ErrUnavailable)
	}
	p.running.Add(1)
	return nil
}

// Close implements [message.Publisher]: it waits for the publications under way. It may be repeated.
func (p *publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

// send sends the records at the places and waits for what becomes of them. It tells whether they met the end of the
// producer: then the failed ones are to be sent again, with its successor.
func (p *publisher) send(ctx context.Context, b *batch, places []int) (cut bool) {
	if len(places) == 0 || ctx.Err() != nil {
		return false
	}
	producer, err := p.client.acquire()
	if err != nil {
		b.fail(places, err)
		return false
	}
	defer producer.release()
	// Room for all, so that a call which has given up never holds up the reports of others.
	reports := make(chan kafka.Event, len(places))
	for i, place := range places {
		if b.errs[place] = enqueue(ctx, producer, b.record(place), reports); b.errs[place] == nil {
			b.errs[place] = errLate
			b.pending++
		} else if ctx.Err() != nil {
			b.fail(places[i:], errLate)
			break
		}
	}
	b.gather(ctx, reports)
	if b.anyFailed(isTransient) && producer.dead() {
		p.client.retire(producer)
		return true
	}
	return false
}

// sendAgain sends the records at the places once more. librdkafka's own retries, which it counts nowhere, go before.
func (p *publisher) sendAgain(ctx context.Context, b *batch, places []int) {
	if len(places) > 0 {
		p.options.NoteRetry()
		p.send(ctx, b, places)
	}
}

// enqueue hands the record to librdkafka, when its queue has room.
func enqueue(ctx context.Context, p *producer, record *kafka.Message, reports chan kafka.Event) error {
	for {
		err := p.Produce(record, reports)
		switch code(err) {
		case kafka.ErrMsgSizeTooLarge:
			return outcome(err)
		case kafka.ErrQueueFull:
		default:
			return err
		}
		select {
		case <-time.After(fullQueuePause):
		case <-ctx.Done():
			return unavailable("wait for room", err)
		}
	}
}

// separate sends one by one what the server refused: it refuses a batch as a whole, whichever record is too large.
func (p *publisher) separate(ctx context.Context, b *batch) {
	if len(b.msgs) == 1 {
		return
	}
	refused := b.failed(isRefusedBatch)
	b.fail(refused, errLate)
	for _, place := range refused {
		p.sendAgain(ctx, b, []int{place})
	}
}

// isRefusedBatch says that the server found a batch too large; what no server was asked about has been judged already.
func isRefusedBatch(err error) bool {
	return code(err) == kafka.ErrMsgSizeTooLarge && !errors.Is(err, domain.ErrTooLarge)
}

func isUnproven(err error) bool { return errors.Is(err, errUnproven) }

func isTransient(err error) bool { return err != nil && code(err) != kafka.ErrMsgSizeTooLarge }
