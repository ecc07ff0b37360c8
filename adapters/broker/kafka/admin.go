package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

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

const boundsAttempts = 5

// Bounds implements [broker.Bounder].
func (b *Broker) Bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error) {
	var bounds map[int32]application.Bounds
	err := b.await(ctx, func() error {
		found, err := b.bounds(topic)
		for n := 1; err != nil && n < boundsAttempts && ctx.Err() == nil; n++ {
			sleep(ctx, pause(n)) // the leaders may be moving
			_ = b.client.RefreshMetadata(topic)
			found, err = b.bounds(topic)
		}
		if err == nil {
			bounds = found
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bounds of %s: %w", topic, err)
	}
	return bounds, nil
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
