package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// Ping implements [broker.Pinger]: it asks for the leaders of the topic's partitions.
func (b *Broker) Ping(ctx context.Context) error {
	return b.await(ctx, func() error {
		err := b.client.RefreshMetadata(b.settings.options.Topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return nil // it is made when it is first used
		}
		return err
	})
}

// Bounds implements [broker.Bounder].
func (b *Broker) Bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error) {
	return ask(ctx, b, "bounds of "+topic, b.leaders(topic), func() (map[int32]application.Bounds, error) {
		return b.bounds(topic)
	})
}

// OffsetsAt implements [broker.Seeker].
func (b *Broker) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	return ask(ctx, b, "offsets of "+topic, b.leaders(topic), func() (map[int32]int64, error) {
		return b.offsetsAt(topic, at)
	})
}

// Places implements [broker.Placer].
func (b *Broker) Places(ctx context.Context, topic, group string) (map[int32]int64, error) {
	coordinator := func() { _ = b.client.RefreshCoordinator(group) }
	return ask(ctx, b, "places of group "+group, coordinator, func() (map[int32]int64, error) {
		return b.places(topic, group)
	})
}

// leaders looks up the leaders of the topic's partitions, which may be moving, or gone with the topic.
func (b *Broker) leaders(topic string) (refresh func()) {
	return func() {
		if err := b.client.RefreshMetadata(topic); errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			b.topics.forget(topic) // it is made again
		}
	}
}

const askAttempts = 5

// ask returns what do does, which is tried again after a pause and refresh while it fails, or the error of ctx.
func ask[T any](ctx context.Context, b *Broker, what string, refresh func(), do func() (T, error)) (answer T, err error) {
	found := make(chan T, 1)
	err = b.await(ctx, func() error {
		value, err := do()
		for n := 1; err != nil && n < askAttempts && ctx.Err() == nil; n++ {
			sleep(ctx, pause(n))
			refresh()
			value, err = do()
		}
		found <- value
		return err
	})
	if err != nil {
		return answer, fmt.Errorf("%s: %w", what, err)
	}
	return <-found, nil
}

func (b *Broker) bounds(topic string) (map[int32]application.Bounds, error) {
	if _, err := b.topics.ensure(b.client, topic); err != nil {
		return nil, err
	}
	first, err := b.offsets(topic, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	next, err := b.offsets(topic, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	bounds := make(map[int32]application.Bounds, len(first))
	for partition := range first {
		bounds[partition] = application.Bounds{First: first[partition], Next: next[partition]}
	}
	return bounds, nil
}

// offsets asks the leader of each partition, once, for all that it leads.
func (b *Broker) offsets(topic string, at int64) (map[int32]int64, error) {
	partitions, err := b.client.Partitions(topic)
	if err != nil {
		return nil, err
	}
	requests := map[*sarama.Broker]*sarama.OffsetRequest{}
	for _, p := range partitions {
		leader, err := b.client.Leader(topic, p)
		if err != nil {
			return nil, err
		}
		if requests[leader] == nil {
			requests[leader] = sarama.NewOffsetRequest(b.client.Config().Version)
		}
		requests[leader].AddBlock(topic, p, at, 1)
	}
	offsets := make(map[int32]int64, len(partitions))
	for leader, request := range requests {
		response, err := leader.GetAvailableOffsets(request)
		if err != nil {
			_ = leader.Close() // it is opened again when it is next used
			return nil, err
		}
		for p, block := range response.Blocks[topic] {
			if block.Err != sarama.ErrNoError {
				return nil, block.Err
			}
			offsets[p] = block.Offsets[0]
		}
	}
	return offsets, nil
}

func (b *Broker) offsetsAt(topic string, at time.Time) (map[int32]int64, error) {
	if _, err := b.topics.ensure(b.client, topic); err != nil {
		return nil, err
	}
	// Asked first, so that no record which comes meanwhile is passed over.
	next, err := b.offsets(topic, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	found, err := b.offsets(topic, broker.KafkaTime(at))
	if err != nil {
		return nil, err
	}
	for partition, offset := range found {
		if offset < 0 {
			found[partition] = next[partition]
		}
	}
	return found, nil
}

// places asks the group's coordinator.
func (b *Broker) places(topic, group string) (map[int32]int64, error) {
	coordinator, err := b.client.Coordinator(group)
	if err != nil {
		return nil, err
	}
	response, err := coordinator.FetchOffset(sarama.NewOffsetFetchRequest(b.client.Config().Version, group, nil))
	if err != nil {
		_ = coordinator.Close() // it is opened again when it is next used
		return nil, err
	}
	if err := response.GroupError(); err != sarama.ErrNoError && err != sarama.ErrGroupIDNotFound {
		return nil, err
	}
	places := make(map[int32]int64, len(response.Blocks[topic]))
	for p, block := range response.Blocks[topic] {
		if block.Err != sarama.ErrNoError {
			return nil, block.Err
		}
		if block.Offset >= 0 {
			places[p] = block.Offset
		}
	}
	return places, nil
}
