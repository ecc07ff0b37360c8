//go:build cgo

package confluent

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// commitInterval is how often a group's place is committed.
const commitInterval = time.Second

// start makes the consumer, and the topic where it is missing.
func (s *subscription) start() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.broker.options.PublishTimeout)
	defer cancel()
	if err := s.broker.topics.ensure(ctx, s.topic); err != nil {
		return err
	}
	if s.group != "" {
		return s.join()
	}
	return s.replay(ctx)
}

// connect makes the consumer.
func (s *subscription) connect(settings kafka.ConfigMap) error {
	config, password := s.broker.credentials.with(with(consuming(), s.broker.consumer, settings))
	consumer, err := kafka.NewConsumer(config)
	if err != nil {
		return unavailable("make a consumer", err)
	}
	s.broker.credentials.add(consumer, password)
	s.consumer = consumer
	return nil
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

// replay assigns all partitions to the consumer, from their first records or where the receiver stands. librdkafka wants a group even so: one that
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
	if err := s.add(n); err != nil {
		s.leave()
		return err
	}
	s.watching.Go(s.watch)
	return nil
}
