package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
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

// Keep publishes the dead letter, with the key of the original.
func (l *DeadLetters) Keep(ctx context.Context, d application.DeadLetter) error {
	msg := encodeDeadLetter(d, time.Now())
	msg.SetContext(ctx)
	if err := l.publisher.Publish(l.topic, msg); err != nil {
		return fmt.Errorf("publish a dead letter to %s: %w", l.topic, err)
	}
	l.logger.ErrorContext(ctx, "dead letter", "reason", d.Reason, "topic", d.Topic, "partition", d.Partition,
		"offset", d.Offset, "key", string(d.Key), "attempts", d.Attempts, "to", l.topic)
	return nil
}
