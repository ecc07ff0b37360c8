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
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	closing chan struct{}
}

// Subscribe implements [message.Subscriber]. It waits for a publication to the topic that is under way.
func (s *subscriber) Subscribe(ctx context.Context, name string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed()
	}
	t, err := s.broker.topic(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	carriers, err := t.channel.Subscribe(ctx, name)
	if err != nil {
		cancel()
		return nil, errClosed()
	}
	t.listeners.Add(1)
	sub := &subscription{out: make(chan *message.Message, window)}
	s.running.Go(func() {
		defer cancel()
		defer close(sub.out)
		defer t.listeners.Add(-1)
		sub.run(ctx, carriers)
	})
	s.running.Go(func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	})
	return sub.out, nil
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

// subscription takes batches from a GoChannel and delivers their messages.
type subscription struct {
	out chan *message.Message
}

func (s *subscription) run(ctx context.Context, carriers <-chan *message.Message) {
	for carrier := range carriers {
		b, _ := carrier.Context().Value(batchKey{}).(*batch)
		if b == nil || !s.deliver(ctx, b) {
			return
		}
		b.acked.Store(true)
		carrier.Ack()
	}
}

// deliver returns true when all messages of the batch are acked.
func (s *subscription) deliver(ctx context.Context, b *batch) bool {
	var acked int64
	d := broker.NewDelivery(ctx, s.out, window, func(next int64) { acked = next })
	for i, msg := range b.msgs {
		origin, _ := application.OriginFrom(msg.Context())
		copied := msg.Copy()
		copied.SetContext(application.WithOrigin(ctx, origin))
		if d.Deliver(ctx, copied, b.first+int64(i)) != nil {
			break
		}
	}
	d.Drain()
	return acked == b.first+int64(len(b.msgs))
}
