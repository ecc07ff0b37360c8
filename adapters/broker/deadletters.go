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

// Keep publishes the dead letter, with the key of the original. One that is too large with all headers has only the last one of
// each name.
func (l *DeadLetters) Keep(ctx context.Context, d application.DeadLetter) error {
	msg := encodeDeadLetter(d, time.Now())
	msg.SetContext(ctx)
	err := l.publisher.Publish(l.topic, msg)
	if _, there := msg.Metadata[RepeatedMetadata]; there && errors.Is(err, domain.ErrTooLarge) {
		// A letter without them is better than a consumer that cannot go on.
		delete(msg.Metadata, RepeatedMetadata)
		err = l.publisher.Publish(l.topic, msg)
	}
	if err != nil {
		return fmt.Errorf("publish a dead letter to %s: %w", l.topic, err)
	}
	l.logger.ErrorContext(ctx, "dead letter", "reason", d.Reason, "topic", d.Topic, "partition", d.Partition,
		"offset", d.Offset, "key", string(d.Key), "attempts", d.Attempts, "to", l.topic)
	return nil
}
