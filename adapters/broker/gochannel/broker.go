package gochannel

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Broker is the open broker. It implements [broker.Broker], [broker.Pinger], [broker.Bounder], [broker.Resumer] and
// [broker.Volatile].
type Broker struct {
	publisher publisher
	timeout   time.Duration
	letters   *kept
	first     int64
	closing   chan struct{}

	mu     sync.Mutex
	closed bool
	topics map[string]*topic
}

// Open implements [broker.Open].
func Open(_ context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
	if u.String() != u.Scheme+":" {
		return nil, domain.Invalid("", "has something after "+u.Scheme+": where nothing is allowed")
	}
	first := time.Now().UnixMicro()
	b := &Broker{
		timeout: o.PublishTimeout, letters: newKept(o.DeadLetterTopic, first), first: first,
		closing: make(chan struct{}), topics: map[string]*topic{},
	}
	b.publisher.broker = b
	return b, nil
}

// Publisher implements [broker.Broker].
func (b *Broker) Publisher() message.Publisher { return &b.publisher }

// Subscriber implements [broker.Broker].
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	return b.SubscriberFrom(group, nil)
}

// SubscriberFrom implements [broker.Resumer]. Only the topic of the dead letters can be begun at start's place; the others begin
// with the next publication.
func (b *Broker) SubscriberFrom(_ string, start broker.Start) (message.Subscriber, error) {
	return &subscriber{broker: b, start: start, closing: make(chan struct{})}, nil
}

// Bounds implements [broker.Bounder]. A topic that keeps nothing begins where it ends.
func (b *Broker) Bounds(_ context.Context, name string) (map[int32]application.Bounds, error) {
	if b.keeps(name) {
		return map[int32]application.Bounds{0: b.letters.bounds()}, nil
	}
	t, err := b.topic(name)
	if err != nil {
		return nil, err
	}
	next := t.next.Load()
	return map[int32]application.Bounds{0: {First: next, Next: next}}, nil
}

// keeps says whether the topic keeps its records.
func (b *Broker) keeps(name string) bool { return name != "" && name == b.letters.name }

// keep adds to the topic that keeps its records.
func (b *Broker) keep(msgs []*message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed()
	}
	b.letters.append(msgs)
	return nil
}

// Volatile implements [broker.Volatile].
func (b *Broker) Volatile() bool { return true }

// Ping implements [broker.Pinger].
func (b *Broker) Ping(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed()
	}
	return ctx.Err()
}

// Close implements [broker.Broker]: it ends all subscriptions, and the publications that wait for their acks.
func (b *Broker) Close() error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
	topics := b.topics
	b.topics = map[string]*topic{}
	b.mu.Unlock()
	for _, t := range topics {
		t.close()
	}
	return nil
}

// topic returns the topic of the name.
func (b *Broker) topic(name string) (*topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed()
	}
	t := b.topics[name]
	if t == nil {
		t = newTopic(name, b.first)
		b.topics[name] = t
	}
	return t, nil
}

func errClosed() error { return fmt.Errorf("%w: the broker is closed", domain.ErrUnavailable) }
