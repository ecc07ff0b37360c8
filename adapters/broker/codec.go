package broker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// KeyMetadata names the metadata that holds a message's key. Drivers whose records have a key of their own send it as
// that, and not as a header.
const KeyMetadata = "netstreamflow-key"

// RepeatedMetadata names the metadata that holds those headers of a record that come before the last one of their name: metadata
// has one of each. Drivers whose records may have several write them as headers of their own, by [Repeated], and gather them by
// [AddHeader] and [SetRepeated]; the others keep it like any other metadata.
const RepeatedMetadata = "netstreamflow-repeated-headers"

// ContentType names the header that tells what a value is, and its only value.
const (
	ContentType     = "content-type"
	contentTypeJSON = "application/json"
)

// The headers that a dead letter has beside those of the original record.
const (
	DeadLetterReason    = "dead-letter-reason"
	DeadLetterTopic     = "dead-letter-topic"
	DeadLetterPartition = "dead-letter-partition"
	DeadLetterOffset    = "dead-letter-offset"
	DeadLetterKey       = "dead-letter-key"
	DeadLetterAttempts  = "dead-letter-attempts"
	DeadLetterConsumer  = "dead-letter-consumer"
	DeadLetterTime      = "dead-letter-time"
	// DeadLetterLeftOut says what the letter lacks of the original record, which was too large for it.
	DeadLetterLeftOut = "dead-letter-left-out"
	// DeadLetterRecordTime is when the original record was made.
	DeadLetterRecordTime = "dead-letter-record-time"
)

// encode makes the message of an event: the key is the user, so that one user's events stay in one partition. The headers
// are those of its publication.
func encode(e domain.Event, headers map[string]string) *message.Message {
	msg := message.NewMessage(e.ID().String(), e.JSON())
	maps.Copy(msg.Metadata, headers)
	msg.Metadata[KeyMetadata] = e.UserID()
	msg.Metadata[ContentType] = contentTypeJSON
	return msg
}

// encodeAll makes the messages of one publication.
func (o Options) encodeAll(ctx context.Context, events []domain.Event) []*message.Message {
	var headers map[string]string
	if o.Headers != nil {
		headers = o.Headers(ctx)
	}
	msgs := make([]*message.Message, len(events))
	for i, e := range events {
		msgs[i] = encode(e, headers)
	}
	return msgs
}

func encodeDeadLetter(d application.DeadLetter, now time.Time) *message.Message {
	partition, offset := strconv.Itoa(int(d.Partition)), strconv.FormatInt(d.Offset, 10)
	id := d.MessageID
	if id == "" {
		id = domain.NamedUUID("dead letter", d.Topic, partition, offset).String()
	}
	msg := message.NewMessage(id, d.Value)
	maps.Copy(msg.Metadata, d.Headers)
	ours := message.Metadata{
		DeadLetterReason:    d.Reason.Error(),
		DeadLetterTopic:     d.Topic,
		DeadLetterPartition: partition,
		DeadLetterOffset:    offset,
		DeadLetterAttempts:  strconv.Itoa(d.Attempts),
		DeadLetterConsumer:  d.Consumer,
		DeadLetterTime:      now.UTC().Format(time.RFC3339Nano),

		DeadLetterRecordTime: d.Time.UTC().Format(time.RFC3339Nano),
	}
	if d.Key != nil {
		msg.Metadata[KeyMetadata] = string(d.Key)
		ours[DeadLetterKey] = string(beginning(d.Key)) // all of it is the record's key
	}
	// Those of the record that are called like ours stay before them.
	repeated := Repeated(d.Headers)
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		repeated = AddHeader(msg.Metadata, repeated, name, ours[name])
	}
	SetRepeated(msg.Metadata, repeated)
	return msg
}
