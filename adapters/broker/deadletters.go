package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// DeadLetters keeps dead letters in a topic of the broker. It implements [application.DeadLetters].
type DeadLetters struct {
	publisher message.Publisher
	topic     string
	logger    *slog.Logger
}

// NewDeadLetters returns one that publishes to the topic.
func NewDeadLetters(publisher message.Publisher, topic string, logger *slog.Logger) *DeadLetters {
	return &DeadLetters{publisher: publisher, topic: topic, logger: logger}
}

// Keep publishes the dead letter, with the key of the original. Where the topic does not take all of it, as a record may have come in
// a compressed batch, the letter says what it lacks: that is better than a consumer that cannot go on.
func (l *DeadLetters) Keep(ctx context.Context, d application.DeadLetter) error {
	now := time.Now()
	msg := encodeDeadLetter(d, now)
	err := l.publish(ctx, d, msg)
	if errors.Is(err, domain.ErrTooLarge) && Repeated(msg.Metadata) != nil {
		err = l.publish(ctx, d, withoutRepeated(d, now))
	}
	if errors.Is(err, domain.ErrTooLarge) {
		err = l.publish(ctx, d, withoutContent(d, now))
	}
	return err
}

// keepWhole is [DeadLetters.Keep] without leaving anything out: it fails with [domain.ErrTooLarge] instead.
func (l *DeadLetters) keepWhole(ctx context.Context, d application.DeadLetter) error {
	return l.publish(ctx, d, encodeDeadLetter(d, time.Now()))
}

func (l *DeadLetters) publish(ctx context.Context, d application.DeadLetter, msg *message.Message) error {
	msg.SetContext(ctx)
	if err := l.publisher.Publish(l.topic, msg); err != nil {
		return fmt.Errorf("publish a dead letter to %s: %w", l.topic, err)
	}
	l.logger.ErrorContext(ctx, "dead letter", "reason", d.Reason, "topic", d.Topic, "partition", d.Partition, "offset", d.Offset,
		"key", string(beginning(d.Key)), "attempts", d.Attempts, "leftOut", msg.Metadata[DeadLetterLeftOut], "to", l.topic)
	return nil
}

// withoutRepeated makes the message of a dead letter that has only the last header of each name.
func withoutRepeated(d application.DeadLetter, now time.Time) *message.Message {
	msg := encodeDeadLetter(d, now)
	delete(msg.Metadata, RepeatedMetadata)
	msg.Metadata[DeadLetterLeftOut] = "repeated headers"
	return msg
}

// leftOutValue begins what is said of a letter without value: such a one cannot be requeued.
const leftOutValue = "value"

// withoutContent makes the message of a dead letter that only says what it is: without value and headers, and with the beginnings of
// key and reason.
func withoutContent(d application.DeadLetter, now time.Time) *message.Message {
	size := len(d.Value)
	d.Value, d.Headers, d.Key = nil, nil, beginning(d.Key)
	d.Reason = errors.New(cutText(d.Reason.Error(), maxLetterReason)) //nolint:err113 // it is a text from here on
	msg := encodeDeadLetter(d, now)
	msg.Metadata[DeadLetterLeftOut] = fmt.Sprintf("%s of %d bytes, headers, and the end of a long key", leftOutValue, size)
	return msg
}
