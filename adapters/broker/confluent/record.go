//go:build cgo

package confluent

import (
	"context"
	"maps"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// uuidHeader is the header that holds a message's UUID, as in every Watermill Pub/Sub on Kafka.
const uuidHeader = "_watermill_message_uuid"

// encode makes the record of a message; its headers are always in the same order.
func encode(topic *string, msg *message.Message) *kafka.Message {
	headers := make([]kafka.Header, 0, 1+len(msg.Metadata))
	if msg.UUID != "" {
		headers = append(headers, kafka.Header{Key: uuidHeader, Value: []byte(msg.UUID)})
	}
	for _, name := range slices.Sorted(maps.Keys(msg.Metadata)) {
		if name != broker.KeyMetadata && name != uuidHeader {
			headers = append(headers, kafka.Header{Key: name, Value: []byte(msg.Metadata[name])})
		}
	}
	return &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: topic, Partition: kafka.PartitionAny},
		Key:            keyOf(msg),
		Value:          msg.Payload,
		Headers:        headers,
	}
}

// keyOf returns the key of a message, nil where it has none.
func keyOf(msg *message.Message) []byte {
	key, ok := msg.Metadata[broker.KeyMetadata]
	if !ok {
		return nil
	}
	return []byte(key)
}

// decode makes the message of a record; it takes whatever a record may hold. Of several headers with one name the last counts.
func decode(ctx context.Context, record *kafka.Message) *message.Message {
	msg := message.NewMessage("", record.Value)
	for _, h := range record.Headers {
		if h.Key == uuidHeader {
			msg.UUID = string(h.Value)
			continue
		}
		msg.Metadata[h.Key] = string(h.Value)
	}
	delete(msg.Metadata, broker.KeyMetadata) // a key is not in the headers: a producer of another kind has called something so
	origin := application.Origin{
		Position: application.Position{
			Partition: record.TopicPartition.Partition,
			Offset:    int64(record.TopicPartition.Offset),
		},
		Key:  record.Key,
		Time: record.Timestamp,
	}
	if record.TopicPartition.Topic != nil {
		origin.Topic = *record.TopicPartition.Topic
	}
	msg.SetContext(application.WithOrigin(ctx, origin))
	return msg
}
