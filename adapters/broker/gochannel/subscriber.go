package gochannel

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// window is how many messages of one publication are delivered ahead of their acks.
const window = 1000

// subscriber implements [message.Subscriber].
type subscriber struct {
	broker  *Broker
	start   broker.Start
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	closing chan struct{}
}

// Subscribe implements [message.Subscriber]. It waits for a publication to the topic that is under way.
func (s *subscriber) Subscribe(ctx context.Context, name string) (<-chan *message.Message, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.running.Done()
	if s.broker.keeps(name) {
		return s.readKept(ctx)
	}
	t, err := s.broker.topic(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(ctx, t.closing)
	carriers, err := t.subscribe(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	out := make(chan *message.Message, window)
	s.running.Go(func() {
		defer close(out)
		defer t.listeners.Add(-1)
		defer cancel()
		deliver(ctx, carriers, out)
	})
	return out, nil
}

// readKept subscribes to the topic that keeps its records.
func (s *subscriber) readKept(ctx context.Context) (<-chan *message.Message, error) {
	if err := s.broker.Ping(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(ctx, s.broker.closing)
	out := make(chan *message.Message, window)
	s.running.Go(func() {
		defer close(out)
		defer cancel()
		s.broker.letters.read(ctx, s.start, out)
	})
	return out, nil
}

// enter counts a call that Close must wait for.
func (s *subscriber) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed()
	}
	s.running.Add(1)
	return nil
}

// bound returns a context that also ends when the subscriber or the topic is closed.
func (s *subscriber) bound(ctx context.Context, topicClosing <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s.running.Go(func() {
		defer cancel()
		select {
		case <-s.closing:
		case <-topicClosing:
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// Close implements [message.Subscriber].
func (s *subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// deliver takes batches from a GoChannel, delivers their messages and acks each batch when all of them are acked.
func deliver(ctx context.Context, carriers <-chan *message.Message, out chan<- *message.Message) {
	ctx, cancel := context.WithCancel(ctx)
	reached := make(chan int64, 1)
	d := broker.NewDelivery(ctx, out, window, func(next int64) {
		select {
		case <-reached:
		default:
		}
		reached <- next
	})
	defer d.Drain()
	defer cancel()
	for carrier := range carriers {
		b, _ := carrier.Context().Value(batchKey{}).(*batch)
		if b == nil || !b.deliver(ctx, d, reached) {
			return
		}
		b.acked.Store(true)
		carrier.Ack()
	}
}

// deliver returns true when all messages of the batch are acked.
func (b *batch) deliver(ctx context.Context, d *broker.Delivery, reached <-chan int64) bool {
	for i, msg := range b.msgs {
		origin, _ := application.OriginFrom(msg.Context()) //nolint:contextcheck // only the origin is taken from it
		again := msg.Copy()
		again.SetContext(application.WithOrigin(ctx, origin))
		if d.Deliver(ctx, again, b.first+int64(i)) != nil {
			return false
		}
	}
	for {
		select {
		case next := <-reached:
			if next == b.first+int64(len(b.msgs)) {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}
