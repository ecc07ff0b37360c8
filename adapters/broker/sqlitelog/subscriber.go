package sqlitelog

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// window is how many messages are delivered ahead of their acks.
const window = 2000

// subscriber implements [message.Subscriber].
type subscriber struct {
	broker.Assignment

	broker *Broker
	group  string
	start  broker.Start

	mu      sync.Mutex
	closed  bool
	closing chan struct{}
	running sync.WaitGroup
}

// Subscribe implements [message.Subscriber]. It does not wait for the file: the subscription does.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if topic == "" {
		return nil, errNoName()
	}
	if err := s.broker.enter(); err != nil {
		return nil, err
	}
	sub := &subscription{
		broker: s.broker, name: topic, group: s.group, start: s.start, assigned: &s.Assignment,
		out:    make(chan *message.Message, window),
		logger: s.broker.logger.With("topic", topic, "group", s.group),
	}
	ctx, cancel := context.WithCancel(ctx)
	s.running.Go(func() {
		defer s.broker.running.Done()
		defer cancel()
		sub.read(ctx)
		sub.end()
	})
	s.running.Go(func() {
		defer cancel()
		select {
		case <-s.closing:
		case <-s.broker.closing:
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
