//go:build cgo

package confluent

import (
	"context"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// uuidHeader is the header that holds a message's UUID, as in every Watermill Pub/Sub on Kafka.
const uuidHeader = "_watermill_message_uuid"

// encode makes the record of a message; its headers are always in the same order.
func encode(topic *string, msg *message.Message) *kafka.Message {
	return &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: topic, Partition: kafka.PartitionAny},
		Key:            keyOf(msg),
		Value:          msg.Payload,
		Headers:        headersOf(msg),
	}
}

func headersOf(msg *message.Message) []kafka.Header {
	headers := make([]kafka.Header, 0, 1+len(msg.Metadata))
	if msg.UUID != "" {
		headers = append(headers, header(uuidHeader, msg.UUID))
	}
	first := len(headers)
	for _, h := range broker.Repeated(msg.Metadata) {
		if isHeader(h.Name) {
			headers = append(headers, header(h.Name, h.Value))
		}
	}
	for name, value := range msg.Metadata {
		if isHeader(name) {
			headers = append(headers, header(name, value))
		}
	}
	// Those of one name stay in their order, with the metadata's own as the last.
	slices.SortStableFunc(headers[first:], func(a, b kafka.Header) int { return strings.Compare(a.Key, b.Key) })
	return headers
}

func header(name, value string) kafka.Header { return kafka.Header{Key: name, Value: []byte(value)} }

// isHeader says whether metadata of the name is a header of its own.
func isHeader(name string) bool { return name != uuidHeader && !broker.IsReserved(name) }

// keyOf returns the key of a message, nil where it has none.
func keyOf(msg *message.Message) []byte {
	key, ok := msg.Metadata[broker.KeyMetadata]
	if !ok {
		return nil
	}
	return []byte(key)
}

// decode makes the message of a record; it takes whatever a record may hold. Of several headers with one name the last one is in
// the metadata, and those before it in [broker.RepeatedMetadata]; of several ids only the last one is kept.
func decode(ctx context.Context, record *kafka.Message) *message.Message {
	msg := message.NewMessage("", record.Value)
	var repeated []application.Header
	for _, h := range record.Headers {
		if h.Key == uuidHeader {
			msg.UUID = string(h.Value)
		} else {
			repeated = broker.AddHeader(msg.Metadata, repeated, h.Key, string(h.Value))
		}
	}
	broker.SetRepeated(msg.Metadata, repeated)
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
