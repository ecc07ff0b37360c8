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
	for name, value := range msg.Metadata {
		if name != broker.KeyMetadata && name != wmkafka.UUIDHeaderKey {
			record.Headers = append(record.Headers, header(name, value))
		}
	}
	slices.SortFunc(record.Headers[first:], func(a, b sarama.RecordHeader) int { return bytes.Compare(a.Key, b.Key) })
	return record, nil
}

func header(name, value string) sarama.RecordHeader {
	return sarama.RecordHeader{Key: []byte(name), Value: []byte(value)}
}

// Unmarshal implements watermill-kafka's Unmarshaler. Of several headers with one name the last one counts.
func (marshaler) Unmarshal(record *sarama.ConsumerMessage) (*message.Message, error) {
	return unmarshal(record), nil
}

func unmarshal(record *sarama.ConsumerMessage) *message.Message {
	msg := message.NewMessage("", record.Value)
	for _, h := range record.Headers {
		if string(h.Key) == wmkafka.UUIDHeaderKey {
			msg.UUID = string(h.Value)
		} else {
			msg.Metadata[string(h.Key)] = string(h.Value)
		}
	}
	delete(msg.Metadata, broker.KeyMetadata) // a key is not in the headers: a producer of another kind has called something so
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
