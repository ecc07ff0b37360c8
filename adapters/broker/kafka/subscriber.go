package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// closeGrace is how long the end of a subscription may take to commit and to leave the group before it is cut off.
const closeGrace = 5 * time.Second

// subscriber implements [message.Subscriber].
type subscriber struct {
	broker.Assignment

	broker *Broker
	group  string
	start  broker.Start

	mu      sync.Mutex
	closed  bool
	closing chan struct{}
	running sync.WaitGroup
}

func newSubscriber(b *Broker, group string, start broker.Start) *subscriber {
	return &subscriber{broker: b, group: group, start: start, closing: make(chan struct{})}
}

// reader reads a topic until ctx ends.
type reader interface {
	read(ctx context.Context)
}

// Subscribe implements [message.Subscriber]. It makes no connection: the subscription waits for the server.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	sub := newSubscription(s.broker, topic, s.group, s.start)
	sub.assigned = &s.Assignment
	r, err := s.reader(sub)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s.running.Go(func() {
		defer cancel()
		r.read(ctx)
		sub.end()
	})
	s.running.Go(func() {
		defer cancel()
		select {
		case <-s.closing:
		case <-ctx.Done():
		}
	})
	return sub.out, nil
}

func (s *subscriber) reader(sub subscription) (reader, error) {
	if s.group == "" {
		return newReplay(sub)
	}
	return newMember(sub, s.group)
}

// Close implements [message.Subscriber].
func (s *subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// subscription is what reading as a member and reading everything have in common.
type subscription struct {
	settings settings
	topics   *topics
	topic    string
	begin    beginning
	assigned *broker.Assignment
	out      chan *message.Message
	logger   *slog.Logger
}

func newSubscription(b *Broker, topic, group string, start broker.Start) subscription {
	logger := b.settings.logger.With("topic", topic, "group", group)
	return subscription{
		settings: b.settings, topics: b.topics, topic: topic,
		begin:    beginning{broker: b, topic: topic, group: group, start: start, logger: logger},
		assigned: new(broker.Assignment),
		out:      make(chan *message.Message, b.settings.InFlight),
		logger:   logger,
	}
}

// end closes the channel. What is still in it was not acked, and is delivered to the next one.
func (s *subscription) end() {
	for {
		select {
		case <-s.out:
		default:
			close(s.out)
			return
		}
	}
}

// retry calls do until it succeeds or ctx ends, with pauses; it returns false at the end of ctx.
func (s *subscription) retry(ctx context.Context, what string, do func() error) bool {
	for n := 1; ctx.Err() == nil; n++ {
		err := do()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.logger.Warn("subscription interrupted", "during", what, "attempt", n, "error", err)
		sleep(ctx, pause(n))
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
