//go:build cgo

package confluent

import (
	"context"
	"strconv"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/application"
)

// admin asks the cluster about itself. Its calls end with their contexts.
type admin struct {
	client *client
}

// ask calls do with a client for administrative requests and the time that is left for them.
func (a *admin) ask(ctx context.Context, do func(*kafka.AdminClient, kafka.AdminOptionRequestTimeout) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	producer, err := a.client.acquire()
	if err != nil {
		return err
	}
	defer producer.release()
	asker, err := kafka.NewAdminClientFromProducer(producer.Producer)
	if err != nil {
		return err
	}
	left := networkTimeout
	if deadline, limited := ctx.Deadline(); limited {
		left = min(left, max(time.Until(deadline), time.Millisecond))
	}
	return a.client.explain(do(asker, kafka.SetAdminRequestTimeout(left)))
}

// ping makes a round trip.
func (a *admin) ping(ctx context.Context) error {
	return a.ask(ctx, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		_, err := c.DescribeCluster(ctx, timeout)
		return err
	})
}

// partitions describes the partitions of a topic.
func (a *admin) partitions(ctx context.Context, topic string) (partitions []kafka.TopicPartitionInfo, err error) {
	err = a.ask(ctx, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		result, err := c.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames([]string{topic}), timeout)
		if err != nil {
			return err
		}
		for _, t := range result.TopicDescriptions {
			if t.Error.Code() != kafka.ErrNoError {
				return t.Error
			}
			partitions = t.Partitions
		}
		return nil
	})
	return partitions, err
}

// create creates a topic.
func (a *admin) create(ctx context.Context, spec kafka.TopicSpecification) error {
	return a.ask(ctx, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		results, err := c.CreateTopics(ctx, []kafka.TopicSpecification{spec}, timeout)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Error.Code() != kafka.ErrNoError {
				return r.Error
			}
		}
		return nil
	})
}

// limitConfig is the name of a topic's limit of the size of a batch.
const limitConfig = "max.message.bytes"

// limit tells how large a batch of the topic's records may be.
func (a *admin) limit(ctx context.Context, topic string) (limit int, err error) {
	resource := kafka.ConfigResource{
		Type: kafka.ResourceTopic, Name: topic, Config: []kafka.ConfigEntry{{Name: limitConfig}},
	}
	err = a.ask(ctx, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		results, err := c.DescribeConfigs(ctx, []kafka.ConfigResource{resource}, timeout)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Error.Code() != kafka.ErrNoError {
				return r.Error
			}
			limit, err = strconv.Atoi(r.Config[limitConfig].Value)
		}
		return err
	})
	return limit, err
}

// bounds tells where the partitions of a topic begin and end.
func (a *admin) bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error) {
	partitions, err := a.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	first, err := a.offsets(ctx, topic, partitions, kafka.EarliestOffsetSpec)
	if err != nil {
		return nil, err
	}
	next, err := a.offsets(ctx, topic, partitions, kafka.LatestOffsetSpec)
	if err != nil {
		return nil, err
	}
	bounds := make(map[int32]application.Bounds, len(partitions))
	for partition, offset := range first {
		bounds[partition] = application.Bounds{First: offset, Next: max(offset, next[partition])}
	}
	return bounds, nil
}

func (a *admin) offsets(
	ctx context.Context, topic string, partitions []kafka.TopicPartitionInfo, spec kafka.OffsetSpec,
) (map[int32]int64, error) {
	asked := make(map[kafka.TopicPartition]kafka.OffsetSpec, len(partitions))
	for _, p := range partitions {
		asked[kafka.TopicPartition{Topic: &topic, Partition: int32(p.Partition)}] = spec //nolint:gosec // Kafka's are 32 bits
	}
	offsets := make(map[int32]int64, len(partitions))
	err := a.ask(ctx, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		result, err := c.ListOffsets(ctx, asked, timeout)
		if err != nil {
			return err
		}
		for partition, info := range result.ResultInfos {
			if info.Error.Code() != kafka.ErrNoError {
				return info.Error
			}
			offsets[partition.Partition] = int64(info.Offset)
		}
		return nil
	})
	return offsets, err
}
