//go:build cgo

package confluent

import (
	"context"
	"fmt"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// places asks what groups have committed. It asks as consumers that never join, one for each group: while a group's coordinator
// loads, librdkafka's administrative request for it would end the process (its rd_kafka_handle_OffsetFetch takes every handle for
// a consumer's).
type places struct {
	client *client
	// settings are those of every handle.
	settings kafka.ConfigMap
	// turn is for one question at a time.
	turn   chan struct{}
	askers map[string]*kafka.Consumer
	closed bool
}

func newPlaces(c *client, settings kafka.ConfigMap) *places {
	return &places{client: c, settings: settings, turn: make(chan struct{}, 1), askers: map[string]*kafka.Consumer{}}
}

// of returns the group's places in the partitions. It ends with ctx, or shortly after.
func (p *places) of(ctx context.Context, group string, partitions []kafka.TopicPartition) (map[int32]int64, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	asker, err := p.asker(group)
	if err != nil {
		return nil, err
	}
	for asker.Poll(0) != nil { //nolint:revive // what it has to tell is told by the others, and must not pile up
	}
	var answer []kafka.TopicPartition
	err = patiently(ctx, func(timeout int) error {
		answer, err = asker.Committed(partitions, timeout)
		return err
	})
	if code(err) == kafka.ErrGroupIDNotFound {
		return map[int32]int64{}, nil
	}
	if err != nil {
		return nil, p.client.explain(err)
	}
	return committedOf(answer, len(partitions))
}

// asker returns the consumer for questions about a group.
func (p *places) asker(group string) (*kafka.Consumer, error) {
	if p.closed {
		return nil, errClosed
	}
	if asker := p.askers[group]; asker != nil {
		return asker, nil
	}
	config, password := p.client.credentials.with(with(p.settings, kafka.ConfigMap{"group.id": group, "enable.auto.commit": false}))
	asker, err := kafka.NewConsumer(config)
	if err != nil {
		return nil, unavailable("make a consumer", err)
	}
	p.client.credentials.add(asker, password)
	p.askers[group] = asker
	return asker, nil
}

// close waits for the question under way.
func (p *places) close() {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.closed = true
	for _, asker := range p.askers {
		p.client.credentials.remove(asker)
		_ = asker.Close() // it has nothing to commit
	}
}

// committedOf reads the answer to a question for the places in n partitions.
func committedOf(answer []kafka.TopicPartition, n int) (map[int32]int64, error) {
	if len(answer) < n {
		return nil, fmt.Errorf("there is an answer for %d of %d partitions", len(answer), n)
	}
	places := make(map[int32]int64, n)
	for _, p := range answer {
		if p.Error != nil {
			return nil, p.Error
		}
		if p.Offset >= 0 {
			places[p.Partition] = int64(p.Offset)
		}
	}
	return places, nil
}
