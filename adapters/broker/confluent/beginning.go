//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// beginTimeout is how long one attempt to find where partitions begin may take.
	beginTimeout = 5 * time.Second
	// firstPause and longestPause are those between such attempts.
	firstPause, longestPause = 100 * time.Millisecond, time.Second
)

// beginning is where partitions are to be begun.
type beginning struct {
	// ctx ends when the partitions are not the subscription's any more.
	ctx        context.Context //nolint:containedctx // it tells whether what was found still counts
	partitions []kafka.TopicPartition
}

// search finds where to begin the partitions, for as long as it takes or until ctx ends. The poll loop, which must not wait,
// gets the answer.
func (s *subscription) search(ctx context.Context, partitions []int32) {
	for n := 0; ctx.Err() == nil; n++ {
		found, err := s.find(ctx, partitions)
		if err == nil {
			select {
			case s.ready <- beginning{ctx: ctx, partitions: found}:
			case <-ctx.Done():
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.broker.logger.Warn("the partitions cannot begin yet", "topic", s.topic, "group", s.group,
			"attempt", n+1, "error", err)
		select {
		case <-time.After(min(firstPause<<min(n, 10), longestPause)):
		case <-ctx.Done():
		}
	}
}

// find makes one attempt.
func (s *subscription) find(ctx context.Context, partitions []int32) ([]kafka.TopicPartition, error) {
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	started, err := s.started(ctx)
	if err != nil {
		return nil, err
	}
	committed, err := s.committed(partitions)
	if err != nil {
		return nil, unavailable("ask for the places of group "+s.group, err)
	}
	bounds, err := s.broker.admin.bounds(ctx, s.topic)
	if err != nil {
		return nil, unavailable("ask for the ends of topic "+s.topic, err)
	}
	var found, lowered []kafka.TopicPartition
	for _, n := range partitions {
		ends, known := bounds[n]
		if !known {
			return nil, fmt.Errorf("%w: the ends of partition %d are not known yet", domain.ErrUnavailable, n)
		}
		p, isLower := s.begin(n, ends, committed, started)
		if found = append(found, p); isLower {
			lowered = append(lowered, p)
		}
	}
	return found, s.lower(lowered)
}

// started asks the receiver, if it has places of its own.
func (s *subscription) started(ctx context.Context) (map[int32]int64, error) {
	if s.from == nil {
		return nil, nil
	}
	places, err := s.from(ctx, s.topic)
	if err != nil {
		return nil, fmt.Errorf("ask the receiver for its places: %w", err)
	}
	return places, nil
}

// committed asks for the group's places.
func (s *subscription) committed(partitions []int32) (map[int32]int64, error) {
	if s.group == "" {
		return nil, nil
	}
	answer, err := s.consumer.Committed(s.named(partitions), millis(beginTimeout))
	if err != nil {
		return nil, err
	}
	return committedOf(answer, len(partitions))
}

// begin tells where a partition begins, and whether that is before the group's place.
func (s *subscription) begin(
	partition int32, ends application.Bounds, committed, started map[int32]int64,
) (begin kafka.TopicPartition, isLower bool) {
	var places []int64
	place := broker.NoPlace
	if s.group != "" {
		place = broker.PlaceOf(committed, partition)
		places = append(places, place)
	}
	if s.from != nil {
		places = append(places, broker.PlaceOf(started, partition))
	}
	offset := broker.Beginning(ends, places...)
	attrs := []any{"topic", s.topic, "group", s.group, "partition", partition, "places", places, "begin", offset}
	switch {
	case place != broker.NoPlace && !broker.InLog(ends, place):
		s.broker.logger.Warn("the group's place is not in the log: beginning with the first record", attrs...)
	case offset < place:
		s.broker.logger.Info("beginning before the group's place, as the receiver lacks what follows", attrs...)
	}
	return kafka.TopicPartition{Topic: &s.topic, Partition: partition, Offset: kafka.Offset(offset)}, offset < place
}

// lower commits places that are before the group's: librdkafka itself commits only those behind what it knows of.
func (s *subscription) lower(places []kafka.TopicPartition) error {
	if len(places) == 0 {
		return nil
	}
	_, err := s.consumer.CommitOffsets(places)
	return unavailable("commit an earlier place of group "+s.group, err)
}

func (s *subscription) named(partitions []int32) []kafka.TopicPartition {
	all := make([]kafka.TopicPartition, len(partitions))
	for i, n := range partitions {
		all[i] = kafka.TopicPartition{Topic: &s.topic, Partition: n, Offset: kafka.OffsetBeginning}
	}
	return all
}
