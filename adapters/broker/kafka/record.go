package kafka

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/IBM/sarama"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// marshaler implements watermill-kafka's Marshaler and Unmarshaler, without errors: the message's key is the record's, its id
// and the other metadata are headers, always in the same order.
type marshaler struct{}

// Marshal implements watermill-kafka's Marshaler.
func (marshaler) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	record := &sarama.ProducerMessage{
		Topic: topic,
		Value: sarama.ByteEncoder(msg.Payload),
		// A record's time has milliseconds.
		Timestamp: time.Now().Truncate(time.Millisecond),
		Headers:   make([]sarama.RecordHeader, 0, len(msg.Metadata)+1),
	}
	if key, ok := msg.Metadata[broker.KeyMetadata]; ok {
		record.Key = sarama.ByteEncoder(key)
	}
	if msg.UUID != "" {
		record.Headers = append(record.Headers, header(wmkafka.UUIDHeaderKey, msg.UUID))
	}
	first := len(record.Headers)
	for _, h := range broker.Repeated(msg.Metadata) {
		if isHeader(h.Name) {
			record.Headers = append(record.Headers, header(h.Name, h.Value))
		}
	}
	for name, value := range msg.Metadata {
		if isHeader(name) {
			record.Headers = append(record.Headers, header(name, value))
		}
	}
	// Those of one name stay in their order, with the metadata's own as the last.
	slices.SortStableFunc(record.Headers[first:], func(a, b sarama.RecordHeader) int { return bytes.Compare(a.Key, b.Key) })
	return record, nil
}

// isHeader says whether metadata of the name is a header of its own.
func isHeader(name string) bool { return name != wmkafka.UUIDHeaderKey && !broker.IsReserved(name) }

func header(name, value string) sarama.RecordHeader {
	return sarama.RecordHeader{Key: []byte(name), Value: []byte(value)}
}

// Unmarshal implements watermill-kafka's Unmarshaler. Of several headers with one name the last one is in the metadata, and those
// before it in [broker.RepeatedMetadata]; of several ids only the last one is kept.
func (marshaler) Unmarshal(record *sarama.ConsumerMessage) (*message.Message, error) {
	return unmarshal(record), nil
}

func unmarshal(record *sarama.ConsumerMessage) *message.Message {
	msg := message.NewMessage("", record.Value)
	var repeated []application.Header
	for _, h := range record.Headers {
		if string(h.Key) == wmkafka.UUIDHeaderKey {
			msg.UUID = string(h.Value)
		} else {
			repeated = broker.AddHeader(msg.Metadata, repeated, string(h.Key), string(h.Value))
		}
	}
	broker.SetRepeated(msg.Metadata, repeated)
	return msg
}

// receive makes the message of a record; its context is ctx with the record's origin.
func receive(ctx context.Context, record *sarama.ConsumerMessage) *message.Message {
	msg := unmarshal(record)
	msg.SetContext(application.WithOrigin(ctx, application.Origin{
		Position: application.Position{Partition: record.Partition, Offset: record.Offset},
		Topic:    record.Topic,
		Key:      record.Key,
		Time:     record.Timestamp,
	}))
	return msg
}

// setOrigin puts the place of the published record on the message.
func setOrigin(msg *message.Message, record *sarama.ProducerMessage) {
	var key []byte
	if record.Key != nil {
		key, _ = record.Key.Encode() // bytes cannot fail
	}
	msg.SetContext(application.WithOrigin(msg.Context(), application.Origin{
		Position: application.Position{Partition: record.Partition, Offset: record.Offset},
		Topic:    record.Topic,
		Key:      key,
		Time:     record.Timestamp,
	}))
}
