//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// flushTimeout is how long Close waits for what nobody waits for any more.
const flushTimeout = 5 * time.Second

// Broker is a Kafka cluster. It implements [broker.Broker], [broker.Pinger], [broker.Bounder],
// [broker.Resumer], [broker.Seeker], [broker.Placer], [broker.Describer] and [broker.Laned].
type Broker struct {
	options  broker.Options
	inFlight int
	// lookout is how often a subscription without a group looks for new partitions, readAhead how many bytes may wait for the
	// receiver in all lanes of a subscription.
	lookout     time.Duration
	readAhead   int64
	consumer    kafka.ConfigMap
	credentials *credentials
	client      *client
	admin       *admin
	topics      *topics
	publisher   *publisher
	logger      *slog.Logger

	mu          sync.Mutex
	subscribers []*subscriber
	closed      bool
	// endBackground ends the goroutines that forward librdkafka's log and look at the password.
	endBackground context.CancelFunc
	background    sync.WaitGroup
}

// Open implements [broker.Open].
func Open(ctx context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
	b, err := open(ctx, u, o, nil)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// open opens a broker whose producer has settings of its own beside those of every producer.
func open(ctx context.Context, u *url.URL, o broker.Options, own kafka.ConfigMap) (*Broker, error) {
	k, err := broker.ParseKafkaURL(u, o.Password)
	if err != nil {
		return nil, err
	}
	logs := make(chan kafka.LogEvent, waitingLogs)
	settings, err := common(k, logs)
	if err != nil {
		return nil, err
	}
	b := newBroker(k, o, settings, own)
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	b.endBackground = end
	b.background.Go(func() { forward(background, logs, b.logger) })
	b.background.Go(func() { b.credentials.watch(background) })
	first, err := b.client.acquire() // shows whether librdkafka can do with the settings
	if err != nil {
		end()
		b.background.Wait()
		return nil, domain.Invalid("", fmt.Sprintf("does not suit librdkafka: %v", err))
	}
	first.release()
	return b, nil
}

func newBroker(k broker.KafkaURL, o broker.Options, settings, own kafka.ConfigMap) *Broker {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	cred := newCredentials(k)
	c := &client{config: with(settings, producing(o), own), credentials: cred, logger: o.Logger}
	a := &admin{client: c, places: newPlaces(c, settings)}
	t := newTopics(a, o)
	return &Broker{
		options:     o,
		inFlight:    k.InFlight,
		lookout:     lookout,
		readAhead:   readAhead,
		consumer:    settings,
		credentials: cred,
		client:      c,
		admin:       a,
		topics:      t,
		publisher:   &publisher{options: o, client: c, topics: t},
		logger:      o.Logger,
	}
}

// Publisher implements [broker.Broker].
func (b *Broker) Publisher() message.Publisher { return b.publisher }

// Subscriber implements [broker.Broker].
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	return b.SubscriberFrom(group, nil)
}

// SubscriberFrom implements [broker.Resumer].
func (b *Broker) SubscriberFrom(group string, start broker.Start) (message.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	s := newSubscriber(b, group, start)
	b.subscribers = append(b.subscribers, s)
	return s, nil
}

// forget lets go of a subscriber that is closed.
func (b *Broker) forget(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribers = slices.DeleteFunc(b.subscribers, func(other *subscriber) bool { return other == s })
}

// Ping implements [broker.Pinger].
func (b *Broker) Ping(ctx context.Context) error {
	return unavailable("ask Kafka", b.admin.ping(ctx))
}

// Bounds implements [broker.Bounder]. A topic that is missing is made first.
func (b *Broker) Bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error) {
	if err := b.topics.ensure(ctx, topic); err != nil {
		return nil, err
	}
	bounds, err := b.admin.bounds(ctx, topic)
	if isUnknownTopic(err) {
		b.topics.forget(topic) // the next one who asks has it made again
	}
	return bounds, unavailable("ask for the ends of topic "+topic, err)
}

// OffsetsAt implements [broker.Seeker]. A topic that is missing is made first.
func (b *Broker) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	if err := b.topics.ensure(ctx, topic); err != nil {
		return nil, err
	}
	offsets, err := b.admin.offsetsAt(ctx, topic, at)
	return offsets, unavailable("ask for the offsets of topic "+topic, err)
}

// Places implements [broker.Placer].
func (b *Broker) Places(ctx context.Context, topic, group string) (map[int32]int64, error) {
	places, err := b.admin.committed(ctx, topic, group)
	return places, unavailable("ask for the places of group "+group, err)
}

// Lanes implements [broker.Laned].
func (b *Broker) Lanes() int { return max(1, b.options.Partitions) }

// Close implements [broker.Broker]. It closes publisher and subscribers too, where that has not been done.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	for _, s := range b.subscribers {
		s.close()
	}
	_ = b.publisher.Close()
	b.admin.places.close()
	b.client.close(flushTimeout)
	b.endBackground()
	b.background.Wait()
	return nil
}
