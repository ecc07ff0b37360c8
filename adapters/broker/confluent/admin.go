//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// admin asks the cluster about itself. Its calls end with their contexts, or shortly after.
type admin struct {
	client *client
	places *places
}

// ask calls do with a client for administrative requests and the time that is left for them, once there is a server that
// answers: librdkafka sends such a request to the controller, and while it waits for one that is away it connects without a
// pause, at the cost of a whole core.
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
	if err := patiently(ctx, func(timeout int) error { _, err := asker.GetMetadata(nil, false, timeout); return err }); err != nil {
		return a.client.explain(err)
	}
	return a.client.explain(do(asker, kafka.SetAdminRequestTimeout(timeLeft(ctx))))
}

// ping makes a round trip.
func (a *admin) ping(ctx context.Context) error {
	return a.ask(ctx, func(*kafka.AdminClient, kafka.AdminOptionRequestTimeout) error { return nil })
}

// timeLeft is how long a request of the context may take.
func timeLeft(ctx context.Context) time.Duration {
	left := networkTimeout
	if deadline, limited := ctx.Deadline(); limited {
		left = min(left, max(time.Until(deadline), time.Millisecond))
	}
	return left
}

// slice is how long one call of librdkafka may wait that knows no contexts.
const slice = 250 * time.Millisecond

// patiently repeats a call that gets no answer in a slice of time until it does, or ctx or the time of a request ends.
func patiently(ctx context.Context, call func(timeout int) error) error {
	ctx, cancel := context.WithTimeout(ctx, networkTimeout)
	defer cancel()
	for {
		next := time.NewTimer(slice)
		err := call(millis(slice))
		if !isUnanswered(err) {
			next.Stop()
			return err
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return err
		}
	}
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

// offsets asks the leaders of the partitions. Where a leader's answer is lost librdkafka reports success, and an offset that is none.
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
			if info.Offset == kafka.OffsetInvalid {
				return fmt.Errorf("%w: the leader of partition %d did not answer", domain.ErrUnavailable, partition.Partition)
			}
			offsets[partition.Partition] = int64(info.Offset)
		}
		return nil
	})
	return offsets, err
}

// offsetsAt tells where records of the time or later begin.
func (a *admin) offsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	partitions, err := a.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	// Asked first, so that no record which comes meanwhile is passed over.
	next, err := a.offsets(ctx, topic, partitions, kafka.LatestOffsetSpec)
	if err != nil {
		return nil, err
	}
	found, err := a.offsets(ctx, topic, partitions, kafka.NewOffsetSpecForTimestamp(broker.KafkaTime(at)))
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

// committed tells what the group has committed in the topic.
func (a *admin) committed(ctx context.Context, topic, group string) (map[int32]int64, error) {
	partitions, err := a.partitions(ctx, topic)
	if isUnknownTopic(err) {
		return map[int32]int64{}, nil
	}
	if err != nil {
		return nil, err
	}
	asked := make([]kafka.TopicPartition, len(partitions))
	for i, p := range partitions {
		asked[i] = kafka.TopicPartition{Topic: &topic, Partition: int32(p.Partition)} //nolint:gosec // Kafka's are 32 bits
	}
	return a.places.of(ctx, group, asked)
}
