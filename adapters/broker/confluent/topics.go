//go:build cgo

package confluent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// propagationPause is how long a new topic is given to become known before it is asked for again.
const propagationPause = 50 * time.Millisecond

// topics makes topics that are missing, when they are first used.
type topics struct {
	admin   *admin
	options broker.Options
	logger  *slog.Logger
	// turn is held by the one that makes topics.
	turn chan struct{}

	mu    sync.RWMutex
	known map[string]bool
}

func newTopics(a *admin, o broker.Options) *topics {
	return &topics{admin: a, options: o, logger: o.Logger, turn: make(chan struct{}, 1), known: map[string]bool{}}
}

// ensure returns when the topic is there, which it makes if it must, and the dead-letter topic beside the main one. A
// topic that is there is left as it is.
func (t *topics) ensure(ctx context.Context, topic string) error {
	if t.isKnown(topic) {
		return nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return unavailable("topic "+topic, context.Cause(ctx))
	}
	if t.isKnown(topic) {
		return nil
	}
	if err := t.make(ctx, topic); err != nil {
		return unavailable("topic "+topic, err)
	}
	if other := t.options.DeadLetterTopic; topic == t.options.Topic && other != "" && !t.isKnown(other) {
		if err := t.make(ctx, other); err != nil {
			t.logger.Warn("the dead-letter topic could not be made", "topic", other, "error", err)
		}
	}
	return nil
}

func (t *topics) isKnown(topic string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.known[topic]
}

// forget has the next use of the topic look for it again.
func (t *topics) forget(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, topic)
}

// make makes the topic unless it is there.
func (t *topics) make(ctx context.Context, topic string) error {
	_, err := t.admin.partitions(ctx, topic)
	if isUnknownTopic(err) {
		if err = t.create(ctx, topic); err == nil {
			err = t.await(ctx, topic)
		}
	}
	if code(err) == kafka.ErrTopicException {
		return fmt.Errorf("%w: %w", domain.ErrInvalid, err)
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[topic] = true
	return nil
}

// create makes the topic. Somebody else may do so at the same time.
func (t *topics) create(ctx context.Context, topic string) error {
	spec := kafka.TopicSpecification{
		Topic:             topic,
		NumPartitions:     max(1, t.options.Partitions),
		ReplicationFactor: t.options.ReplicationFactor,
		Config:            map[string]string{limitConfig: strconv.Itoa(t.limit(ctx, topic))},
	}
	err := t.admin.create(ctx, spec)
	switch {
	case err == nil:
		t.logger.Info("topic created", "topic", topic, "partitions", spec.NumPartitions)
	case code(err) == kafka.ErrTopicAlreadyExists:
		return nil
	}
	return err
}

// limit is how large the records of a new topic may be. A dead letter may be larger than any record of the main topic.
func (t *topics) limit(ctx context.Context, topic string) int {
	limit := max(defaultLimit, t.options.MaxMessageBytes+recordHeadroom)
	if topic != t.options.DeadLetterTopic || topic == t.options.Topic {
		return limit
	}
	if records, err := t.admin.limit(ctx, t.options.Topic); err == nil {
		limit = max(limit, records)
	}
	return min(limit+deadLetterHeadroom, largestRequest-deadLetterHeadroom)
}

// await returns when the new topic is known and the leaders of all its partitions answer.
func (t *topics) await(ctx context.Context, topic string) error {
	for {
		bounds, err := t.admin.bounds(ctx, topic)
		if err == nil && len(bounds) > 0 {
			return nil
		}
		select {
		case <-time.After(propagationPause):
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w", errors.Join(context.Cause(ctx), err))
		}
	}
}

func isUnknownTopic(err error) bool {
	c := code(err)
	return c == kafka.ErrUnknownTopic || c == kafka.ErrUnknownTopicOrPart
}
