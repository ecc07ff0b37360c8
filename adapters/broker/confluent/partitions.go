//go:build cgo

package confluent

import (
	"context"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// lookout is how often a subscription without a group looks for new partitions.
const lookout = 30 * time.Second

// rebalance follows the group. librdkafka calls it from a poll, and waits for it: it always returns in time.
func (s *subscription) rebalance(c *kafka.Consumer, event kafka.Event) error {
	switch e := event.(type) {
	case kafka.AssignedPartitions:
		return s.assigned(c, e.Partitions)
	case kafka.RevokedPartitions:
		return s.revoked(c, len(e.Partitions))
	}
	return nil
}

func (s *subscription) assigned(c *kafka.Consumer, partitions []kafka.TopicPartition) error {
	s.broker.logger.Info("partitions assigned", "topic", s.topic, "partitions", numbers(partitions))
	if s.ctx.Err() == nil && len(partitions) > 0 {
		s.open(partitions)
	}
	if err := c.Assign(partitions); err != nil {
		return err
	}
	// librdkafka remembers a pause from an earlier assignment.
	return c.Resume(partitions)
}

// revoked lets the receiver finish what it has, unless another member may have it already. The stored places are
// committed by librdkafka as the partitions are unassigned.
func (s *subscription) revoked(c *kafka.Consumer, n int) error {
	lost := c.AssignmentLost()
	s.broker.logger.Info("partitions revoked", "topic", s.topic, "partitions", n, "lost", lost)
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

// add assigns partitions to a subscription without a group.
func (s *subscription) add(partitions []kafka.TopicPartition) error {
	s.open(partitions)
	return s.consumer.IncrementalAssign(partitions)
}

// watch looks for new partitions until the subscription ends.
func (s *subscription) watch() {
	tick := time.NewTicker(s.broker.lookout)
	defer tick.Stop()
	known := len(s.lanes)
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(s.ctx, s.broker.lookout)
		all, err := s.all(asking)
		cancel()
		if err != nil || len(all) <= known {
			continue
		}
		select {
		case s.found <- all[known:]:
			known = len(all)
		case <-s.ctx.Done():
			return
		}
	}
}
