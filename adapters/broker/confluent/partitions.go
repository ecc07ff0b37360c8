//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// rebalance follows the group. librdkafka calls it from a poll, and waits for it: it always returns in time.
func (s *subscription) rebalance(c *kafka.Consumer, event kafka.Event) (err error) {
	switch e := event.(type) {
	case kafka.AssignedPartitions:
		err = s.assigned(c, e.Partitions)
	case kafka.RevokedPartitions:
		err = s.revoked(c, numbers(e.Partitions))
	}
	if err != nil {
		s.complain(fmt.Errorf("rebalance: %w", err)) // nobody looks at what is returned
	}
	return err
}

// assigned takes the partitions, but begins with none of them before it is known where: that takes longer than librdkafka
// should wait.
func (s *subscription) assigned(c *kafka.Consumer, partitions []kafka.TopicPartition) error {
	s.broker.logger.Info("partitions assigned", "topic", s.topic, "group", s.group, "partitions", numbers(partitions))
	if err := c.Assign([]kafka.TopicPartition{}); err != nil {
		return err
	}
	s.holds.Assign(nil) // none is begun yet
	s.forget()
	var searching context.Context
	searching, s.forget = context.WithCancel(s.ctx)
	if len(partitions) > 0 && s.ctx.Err() == nil {
		s.watching.Go(func() { s.search(searching, numbers(partitions)) })
	}
	return nil
}

// take begins with the partitions that search has found the beginnings of.
func (s *subscription) take() {
	select {
	case b := <-s.ready:
		if b.ctx.Err() != nil {
			return // they have been revoked
		}
		if err := s.assign(b.partitions); err != nil {
			s.complain(fmt.Errorf("begin partitions: %w", err))
			s.watching.Go(func() { s.search(b.ctx, numbers(b.partitions)) })
		}
	default:
	}
}

func (s *subscription) assign(partitions []kafka.TopicPartition) error {
	assign := s.consumer.Assign
	if s.group == "" {
		assign = s.consumer.IncrementalAssign
	}
	if err := assign(partitions); err != nil {
		return unavailable("assign the partitions of topic "+s.topic, err)
	}
	s.open(numbers(partitions))
	// librdkafka remembers a pause from an earlier assignment.
	if err := s.consumer.Resume(partitions); err != nil {
		s.complain(fmt.Errorf("resume partitions: %w", err))
	}
	return nil
}

// revoked lets the receiver finish what it has, unless another member may have it already. The stored places are
// committed by librdkafka as the partitions are unassigned.
func (s *subscription) revoked(c *kafka.Consumer, partitions []int32) error {
	lost := c.AssignmentLost()
	s.broker.logger.Info("partitions revoked", "topic", s.topic, "group", s.group, "partitions", partitions, "lost", lost)
	s.forget()
	patience, cancel := context.WithTimeout(s.ctx, revokeTimeout)
	defer cancel()
	if lost {
		cancel()
		for _, l := range s.lanes {
			l.lost.Store(true)
		}
	}
	s.stop(patience)
	return c.Unassign()
}

func numbers(partitions []kafka.TopicPartition) []int32 {
	all := make([]int32, len(partitions))
	for i, p := range partitions {
		all[i] = p.Partition
	}
	return all
}

// count tells how many partitions the topic has; they are numbered from 0.
func (s *subscription) count(ctx context.Context) (int32, error) {
	partitions, err := s.broker.admin.partitions(ctx, s.topic)
	if err != nil {
		return 0, unavailable("ask for the partitions of topic "+s.topic, err)
	}
	return int32(len(partitions)), nil //nolint:gosec // Kafka's partitions are 32 bits
}

// add assigns the partitions from the last known one to the one before next to a subscription without a group.
func (s *subscription) add(next int32) error {
	var partitions []int32
	for n := s.known; n < next; n++ {
		partitions = append(partitions, n)
	}
	if s.from != nil {
		s.watching.Go(func() { s.search(s.ctx, partitions) })
	} else if err := s.assign(s.named(partitions)); err != nil {
		return err
	}
	s.known = next
	return nil
}

// grow assigns partitions that watch has found.
func (s *subscription) grow() {
	select {
	case next := <-s.found:
		if next <= s.known {
			return
		}
		if err := s.add(next); err != nil {
			s.broker.logger.Warn("new partitions could not be assigned", "topic", s.topic, "error", err)
		}
	default:
	}
}

// watch looks how many partitions there are until the subscription ends.
func (s *subscription) watch() {
	tick := time.NewTicker(s.broker.lookout)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(s.ctx, s.broker.lookout)
		n, err := s.count(asking)
		cancel()
		if err != nil {
			continue
		}
		select {
		case s.found <- n:
		case <-s.ctx.Done():
		}
	}
}
