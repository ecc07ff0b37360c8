package kafka

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Broker is the open broker. It implements [broker.Broker], [broker.Pinger], [broker.Bounder], [broker.Resumer],
// [broker.Seeker], [broker.Placer], [broker.Describer] and [broker.Laned].
type Broker struct {
	settings  settings
	client    sarama.Client
	link      *link
	topics    *topics
	publisher *publisher

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// Open implements [broker.Open]. It makes no connection.
func Open(_ context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
	k, err := broker.ParseKafkaURL(u, o.Password)
	if err != nil {
		return nil, err
	}
	tls, err := k.TLSConfig()
	if err != nil {
		return nil, err
	}
	s := settings{KafkaURL: k, options: o, tls: tls, logger: o.Logger.With("brokers", k.Brokers)}
	client, link, err := s.client(s.admin())
	if err != nil {
		return nil, err
	}
	b := &Broker{settings: s, client: client, link: link, topics: newTopics(s)}
	if b.publisher, err = newPublisher(s, b.topics); err != nil {
		_ = client.Close() // it was not used
		return nil, err
	}
	return b, nil
}

// client makes a client that connects when it is first used, and the link to cut it off with.
func (s settings) client(config *sarama.Config) (sarama.Client, *link, error) {
	link := newLink(config)
	client, err := sarama.NewClient(s.Brokers, config)
	if err != nil {
		return nil, nil, domain.Invalid("", err.Error())
	}
	return client, link, nil
}

// Publisher implements [broker.Broker].
func (b *Broker) Publisher() message.Publisher { return b.publisher }

// Subscriber implements [broker.Broker].
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	return b.subscriber(group, nil), nil
}

// SubscriberFrom implements [broker.Resumer].
func (b *Broker) SubscriberFrom(group string, start broker.Start) (message.Subscriber, error) {
	return b.subscriber(group, start), nil
}

func (b *Broker) subscriber(group string, start broker.Start) message.Subscriber {
	if b.settings.Subscriber == broker.WatermillSubscriber {
		return newPlain(b, group, start)
	}
	return newSubscriber(b, group, start)
}

// Lanes implements [broker.Laned].
func (b *Broker) Lanes() int { return b.settings.options.Partitions }

// Close implements [broker.Broker].
func (b *Broker) Close() error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	err := b.publisher.Close()
	b.link.cut()
	b.running.Wait()
	_ = b.client.Close() // the connections are gone
	return err
}

// await runs do, which cannot be interrupted, and returns its error, or that of ctx when it ends first. Close cuts do off and
// waits for it.
func (b *Broker) await(ctx context.Context, do func() error) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errClosed
	}
	b.running.Add(1)
	b.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		defer b.running.Done()
		done <- do()
	}()
	select {
	case err := <-done:
		return unavailable(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: kafka does not answer: %w", domain.ErrUnavailable, ctx.Err())
	}
}
