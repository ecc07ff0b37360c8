//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/domain"
)

// subscriber implements [message.Subscriber]. Each subscription is a consumer of its own.
type subscriber struct {
	broker *Broker
	group  string
	// ctx ends when the subscriber is closed.
	ctx    context.Context //nolint:containedctx // the subscriber is what the context is the life of
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func newSubscriber(b *Broker, group string) *subscriber {
	s := &subscriber{broker: b, group: group}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Subscribe implements [message.Subscriber]. The topic is made where it is missing; the broker has the publish time-out
// for that.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: the subscriber is closed", domain.ErrUnavailable)
	}
	s.running.Add(1)
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel) //nolint:contextcheck // a subscription ends with its subscriber too
	sub, err := s.open(ctx, topic)
	if err != nil {
		stop()
		cancel()
		s.running.Done()
		return nil, fmt.Errorf("subscribe to topic %s: %w", topic, err)
	}
	go func() {
		defer s.running.Done()
		defer stop()
		defer cancel()
		sub.run()
	}()
	return sub.out, nil
}

// open makes the subscription whose life is ctx.
func (s *subscriber) open(ctx context.Context, topic string) (*subscription, error) {
	b := s.broker
	asking, cancel := context.WithTimeout(ctx, b.options.PublishTimeout)
	defer cancel()
	if err := b.topics.ensure(asking, topic); err != nil {
		return nil, err
	}
	sub := newSubscription(ctx, b, s.group, topic)
	if s.group != "" {
		return sub, sub.join()
	}
	return sub, sub.replay(asking)
}

// Close implements [message.Subscriber]. It may be repeated; each call returns when all subscriptions have ended.
func (s *subscriber) Close() error {
	s.close()
	return nil
}

func (s *subscriber) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

// join makes the consumer a member of the group.
func (s *subscription) join() error {
	err := s.connect(kafka.ConfigMap{
		"group.id": s.group, "enable.auto.commit": true, "auto.commit.interval.ms": millis(commitInterval),
	})
	if err != nil {
		return err
	}
	if err := s.consumer.SubscribeTopics([]string{s.topic}, s.rebalance); err != nil {
		s.leave()
		return unavailable("join group "+s.group, err)
	}
	return nil
}

// replay assigns all partitions to the consumer, from their first records. librdkafka wants a group even so: one that
// nobody else is in, and where nothing is committed.
func (s *subscription) replay(ctx context.Context) error {
	n, err := s.count(ctx)
	if err != nil {
		return err
	}
	err = s.connect(kafka.ConfigMap{"group.id": "replay-" + watermill.NewUUID(), "enable.auto.commit": false})
	if err != nil {
		return err
	}
	if err := s.add(0, n); err != nil {
		s.leave()
		return err
	}
	s.watching.Go(s.watch)
	return nil
}
