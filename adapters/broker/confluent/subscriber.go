//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// subscriber implements [message.Subscriber]. Each subscription is a consumer of its own.
type subscriber struct {
	broker.Assignment

	broker *Broker
	group  string
	start  broker.Start
	// ctx ends when the subscriber is closed.
	ctx    context.Context //nolint:containedctx // the subscriber is what the context is the life of
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func newSubscriber(b *Broker, group string, start broker.Start) *subscriber {
	s := &subscriber{broker: b, group: group, start: start}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Subscribe implements [message.Subscriber]. The topic is made where it is missing; the broker has the publish time-out
// for that.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	sub := newSubscription(ctx, s.broker, s.group, s.start, topic)
	sub.holds = &s.Assignment
	stop := context.AfterFunc(s.ctx, sub.end) //nolint:contextcheck // a subscription ends with its subscriber too
	if err := sub.start(); err != nil {
		stop()
		sub.end()
		s.running.Done()
		return nil, fmt.Errorf("subscribe to topic %s: %w", topic, err)
	}
	go func() {
		defer s.running.Done()
		defer stop()
		sub.run()
	}()
	return sub.out, nil
}

// enter counts a subscription that Close must wait for.
func (s *subscriber) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%w: the subscriber is closed", domain.ErrUnavailable)
	}
	s.running.Add(1)
	return nil
}

// Close implements [message.Subscriber]. It may be repeated; each call returns when all subscriptions have ended.
func (s *subscriber) Close() error {
	s.close()
	s.broker.forget(s)
	return nil
}

func (s *subscriber) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}
