package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// plain makes subscriptions of watermill-kafka's own subscriber, one for each. It adds what that lacks: missing topics are
// made, messages know their origin, partitions begin where they must, and Close ends.
type plain struct {
	broker.Assignment

	broker *Broker
	group  string
	start  broker.Start
	// whole ends with Close.
	whole context.Context //nolint:containedctx // the subscriber is what the context is the life of
	end   context.CancelFunc

	mu      sync.Mutex
	running sync.WaitGroup
}

func newPlain(b *Broker, group string, start broker.Start) *plain {
	p := &plain{broker: b, group: group, start: start}
	p.whole, p.end = context.WithCancel(context.Background())
	return p
}

// Subscribe implements [message.Subscriber]. It needs the server.
func (p *plain) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.whole, cancel) //nolint:contextcheck // a subscription ends with its subscriber too
	out, err := p.subscribe(ctx, topic, func() {
		stop()
		cancel()
		p.running.Done()
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, unavailable(err))
	}
	return out, nil
}

// enter counts a subscription that Close must wait for.
func (p *plain) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole.Err() != nil {
		return errClosed
	}
	p.running.Add(1)
	return nil
}

// subscribe calls ended when the subscription has ended, or there is none.
func (p *plain) subscribe(ctx context.Context, topic string, ended func()) (<-chan *message.Message, error) {
	inHand := &inHand{}
	inner, link, err := p.inner(ctx, topic, inHand)
	if err != nil {
		ended()
		return nil, err
	}
	stop := cutAfter(ctx, link)
	messages, err := p.messages(ctx, topic, inner)
	if err != nil {
		stop()
		ended()
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer ended()
		defer stop()
		inHand.forward(topic, messages, out)
		_ = inner.Close() // it has ended
	}()
	return out, nil
}

// messages subscribes to the topic, which is made where it is missing.
func (p *plain) messages(ctx context.Context, topic string, inner *wmkafka.Subscriber) (<-chan *message.Message, error) {
	err := p.broker.await(ctx, func() error {
		_, err := p.broker.topics.ensure(p.broker.client, topic)
		return err
	})
	if err != nil {
		return nil, err
	}
	messages, err := inner.Subscribe(ctx, topic)
	for n := 1; err != nil && n < askAttempts && ctx.Err() == nil; n++ {
		sleep(ctx, pause(n)) // the leaders of a new topic may not know of it
		messages, err = inner.Subscribe(ctx, topic)
	}
	return messages, err
}

// inner makes watermill-kafka's subscriber, and the link to cut it off with.
func (p *plain) inner(ctx context.Context, topic string, inHand *inHand) (*wmkafka.Subscriber, *link, error) {
	s := p.broker.settings
	config := s.member()
	if p.group == "" {
		config = s.consumer()
		config.Consumer.Return.Errors = false // nobody reads them
	}
	link := newLink(config)
	logger := s.logger.With("topic", topic, "group", p.group)
	inner, err := wmkafka.NewSubscriber(wmkafka.SubscriberConfig{
		Brokers: s.Brokers, Unmarshaler: marshaler{}, OverwriteSaramaConfig: config, ConsumerGroup: p.group,
		Tracer: beginHook{ctx: ctx, inHand: inHand, assigned: &p.Assignment, begin: beginning{
			broker: p.broker, topic: topic, group: p.group, start: p.start, logger: logger,
		}},
	}, watermill.NewSlogLoggerWithLevelMapping(logger, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug}))
	if err != nil {
		return nil, nil, domain.Invalid("", err.Error())
	}
	return inner, link, nil
}

// Close implements [message.Subscriber].
func (p *plain) Close() error {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

// inHand are the messages that the receiver got last, one for each partition: all before them are acked.
type inHand struct {
	messages sync.Map // of *message.Message, by partition
}

// forward adds the origins; it ends with from. A message that its subscription has given up is not waited for.
func (h *inHand) forward(topic string, from <-chan *message.Message, to chan<- *message.Message) {
	defer close(to)
	for msg := range from {
		o := originOf(msg.Context(), topic)
		msg.SetContext(application.WithOrigin(msg.Context(), o))
		h.messages.Store(o.Partition, msg)
		select {
		case to <- msg:
		case <-msg.Context().Done():
		}
	}
}

// acked returns the offset behind the partition's message if that is acked.
func (h *inHand) acked(partition int32) (next int64, ok bool) {
	found, ok := h.messages.Load(partition)
	if !ok {
		return 0, false
	}
	msg, _ := found.(*message.Message) // nothing else is stored
	select {
	case <-msg.Acked():
		o, _ := application.OriginFrom(msg.Context())
		return o.Offset + 1, true
	default:
		return 0, false
	}
}

// originOf reads what watermill-kafka puts on a message's context.
func originOf(ctx context.Context, topic string) application.Origin {
	o := application.Origin{Topic: topic}
	o.Partition, _ = wmkafka.MessagePartitionFromCtx(ctx)
	o.Offset, _ = wmkafka.MessagePartitionOffsetFromCtx(ctx)
	o.Key, _ = wmkafka.MessageKeyFromCtx(ctx)
	o.Time, _ = wmkafka.MessageTimestampFromCtx(ctx)
	return o
}
