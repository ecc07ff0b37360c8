package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// beginTimeout is how long a member may look for the places of its new partitions before it joins again. It is below the
// session time-out and that of rebalances, so that the rest of the group does not wait for a receiver that is away.
const beginTimeout = 5 * time.Second

// beginning finds where to begin the partitions of a topic.
type beginning struct {
	broker *Broker
	topic  string
	group  string
	// start is nil for a receiver without places of its own.
	start  broker.Start
	logger *slog.Logger
}

// started asks the receiver, nil where it has no places.
func (b beginning) started(ctx context.Context) (map[int32]int64, error) {
	if b.start == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	places, err := b.start(ctx, b.topic)
	if err != nil {
		return nil, fmt.Errorf("ask the receiver for its places: %w", err)
	}
	return maps.Clone(places), nil
}

// offset returns where a partition of a subscription without group begins; Sarama finds out whether it is in the log.
func (b beginning) offset(started map[int32]int64, partition int32) int64 {
	if place := broker.PlaceOf(started, partition); b.start != nil && place >= 0 {
		return place
	}
	return sarama.OffsetOldest
}

// reset puts the places of a new generation to where its partitions are to be begun, before they are: Sarama asks for them
// after the handler's Setup. An error makes the member leave the generation.
func (b beginning) reset(s sarama.ConsumerGroupSession) error {
	ctx, cancel := context.WithTimeout(s.Context(), beginTimeout)
	defer cancel()
	for n := 1; ; n++ {
		err := b.tryReset(ctx, s)
		if err == nil {
			return nil
		}
		if sleep(ctx, pause(n)); ctx.Err() != nil {
			return fmt.Errorf("begin the partitions of generation %d: %w", s.GenerationID(), err)
		}
	}
}

func (b beginning) tryReset(ctx context.Context, s sarama.ConsumerGroupSession) error {
	partitions := s.Claims()[b.topic]
	if len(partitions) == 0 {
		return nil
	}
	started, err := b.started(ctx)
	if err != nil {
		return err
	}
	committed, err := b.broker.Places(ctx, b.topic, b.group)
	if err != nil {
		return err
	}
	bounds, err := b.bounds(ctx, partitions)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		b.resetPartition(s, p, bounds[p], committed, started)
	}
	return nil
}

// bounds returns the bounds of the topic, which must have the partitions.
func (b beginning) bounds(ctx context.Context, partitions []int32) (map[int32]application.Bounds, error) {
	// The group may know of partitions that the broker's own client does not.
	if err := b.broker.await(ctx, func() error { return b.broker.client.RefreshMetadata(b.topic) }); err != nil {
		return nil, err
	}
	bounds, err := b.broker.Bounds(ctx, b.topic)
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		if _, known := bounds[p]; !known {
			return nil, fmt.Errorf("%w: the bounds of partition %d of %s are not known yet", domain.ErrUnavailable, p, b.topic)
		}
	}
	return bounds, nil
}

// resetPartition lowers the place that the session has. Where it is before the log's first record, or there is none,
// Sarama begins with that record by itself.
func (b beginning) resetPartition(
	s sarama.ConsumerGroupSession, partition int32, bounds application.Bounds, committed, started map[int32]int64,
) {
	place := broker.PlaceOf(committed, partition)
	places := []int64{place}
	if b.start != nil {
		places = append(places, broker.PlaceOf(started, partition))
	}
	begin := broker.Beginning(bounds, places...)
	if place == broker.NoPlace || begin == place {
		return
	}
	s.ResetOffset(b.topic, partition, begin, "")
	attrs := []any{"partition", partition, "place", place, "begin", begin}
	if broker.InLog(bounds, place) {
		b.logger.Info("beginning before the group's place, as the receiver lacks what follows", attrs...)
	} else {
		b.logger.Warn("the group's place is not in the log: beginning with the first record", attrs...)
	}
}
