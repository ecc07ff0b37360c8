package gochannel

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Broker is the open broker. It implements [broker.Broker], [broker.Pinger] and [broker.Volatile].
type Broker struct {
	publisher  publisher
	logger     *slog.Logger
	timeout    time.Duration
	deadLetter string
	first      int64

	mu     sync.Mutex
	closed bool
	topics map[string]*topic
}

// Open implements [broker.Open].
func Open(_ context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
	if u.String() != u.Scheme+":" {
		return nil, domain.Invalid("", "has something after "+u.Scheme+": where nothing is allowed")
	}
	b := &Broker{
		logger: o.Logger, timeout: o.PublishTimeout, deadLetter: o.DeadLetterTopic,
		first: time.Now().UnixMicro(), topics: map[string]*topic{},
	}
	b.publisher.broker = b
	return b, nil
}

// Publisher implements [broker.Broker].
func (b *Broker) Publisher() message.Publisher { return &b.publisher }

// Subscriber implements [broker.Broker].
func (b *Broker) Subscriber(string) (message.Subscriber, error) {
	return &subscriber{broker: b, closing: make(chan struct{})}, nil
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
	b.closed = true
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
