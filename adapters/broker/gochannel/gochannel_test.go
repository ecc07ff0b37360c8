package gochannel_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/broker/gochannel"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func open(t *testing.T, o broker.Options) broker.Broker {
	t.Helper()
	b, err := gochannel.Open(t.Context(), &url.URL{Scheme: "memory"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func options() broker.Options {
	return broker.Options{
		Topic: "topic", DeadLetterTopic: "topic.dlq", Partitions: 1,
		PublishTimeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
}

func TestContract(t *testing.T) {
	brokertest.Run(t, open, brokertest.Features{Window: 1000, Partitions: 1})
}

func TestOpenRefusesMore(t *testing.T) {
	for _, raw := range []string{"memory:x", "memory://h", "memory:?a=b", "memory:#f", "memory:///p", "memory:?"} {
		_, err := broker.OpenURL(t.Context(), map[string]broker.Open{"memory": gochannel.Open}, raw, options())
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: got the error %v, want an invalid URL", raw, err)
		}
	}
	b, err := broker.OpenURL(t.Context(), map[string]broker.Open{"memory": gochannel.Open}, "MEMORY:", options())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := b.(broker.Volatile); !ok || !v.Volatile() {
		t.Error("the broker does not say that it is volatile")
	}
}

func TestPublishWithoutSubscriber(t *testing.T) {
	b := open(t, options())
	msg := message.NewMessage(watermill.NewUUID(), nil)
	if err := b.Publisher().Publish("topic", msg); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got the error %v, want unavailable", err)
	}
	subscriber, _ := b.Subscriber("group")
	if _, err := subscriber.Subscribe(t.Context(), "topic"); err != nil {
		t.Fatal(err)
	}
	if err := subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Publisher().Publish("topic", msg); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("after the subscription: got the error %v, want unavailable", err)
	}
}

// TestDeadLettersAreKept fills the topic of the dead letters beyond its bounds: the oldest are dropped.
func TestDeadLettersAreKept(t *testing.T) {
	const most = 10_000
	for name, test := range map[string]struct{ publish, size, want int }{
		"few": {3, 10, 3}, "many": {most + 5, 1, most}, "large": {100, 1 << 20, 63},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, options())
			for range test.publish {
				msg := message.NewMessage(watermill.NewUUID(), make([]byte, test.size))
				msg.Metadata.Set("dead-letter-reason", "no JSON")
				if err := b.Publisher().Publish("topic.dlq", msg); err != nil {
					t.Fatal(err)
				}
			}
			bounds, err := b.(broker.Bounder).Bounds(t.Context(), "topic.dlq")
			if err != nil {
				t.Fatal(err)
			}
			if got := bounds[0].Next - bounds[0].First; got != int64(test.want) {
				t.Errorf("%d of %d are kept, want %d", got, test.publish, test.want)
			}
			records := broker.NewRecords(b.(broker.Replayable))
			defer records.Close()
			page, err := records.Page(t.Context(), application.RecordQuery{Topic: "topic.dlq", Offset: -1, Limit: 10})
			if err != nil || len(page.Records) != 1 || page.Records[0].Headers["dead-letter-reason"] != "no JSON" {
				t.Errorf("the last one: got %+v, %v", page.Records, err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if err := b.Publisher().Publish("topic.dlq", message.NewMessage("", nil)); !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("closed: got the error %v", err)
			}
		})
	}
}

// TestPublishIsBounded has a subscriber that never acks.
func TestPublishIsBounded(t *testing.T) {
	o := options()
	o.PublishTimeout = 50 * time.Millisecond
	b := open(t, o)
	subscriber, _ := b.Subscriber("group")
	messages, err := subscriber.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 5 {
		callers.Go(func() {
			err := b.Publisher().Publish("topic", message.NewMessage(watermill.NewUUID(), nil))
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("got the error %v, want unavailable", err)
			}
		})
	}
	callers.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	second, _ := b.Subscriber("group")
	if _, err := second.Subscribe(ctx, "topic"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("subscribe during a publication: got the error %v, want unavailable", err)
	}
	(<-messages).Ack()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range messages { //nolint:revive // it must be closed
	}
}

// TestCloseEndsAPublication closes while a publication waits for its ack.
func TestCloseEndsAPublication(t *testing.T) {
	for name, end := range map[string]func(broker.Broker, message.Subscriber) error{
		"broker":     func(b broker.Broker, _ message.Subscriber) error { return b.Close() },
		"subscriber": func(_ broker.Broker, s message.Subscriber) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, options())
			subscriber, _ := b.Subscriber("group")
			messages, err := subscriber.Subscribe(t.Context(), "topic")
			if err != nil {
				t.Fatal(err)
			}
			published := make(chan error)
			go func() { published <- b.Publisher().Publish("topic", message.NewMessage(watermill.NewUUID(), nil)) }()
			<-messages
			if err := end(b, subscriber); err != nil {
				t.Fatal(err)
			}
			if err := <-published; !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("got the error %v, want unavailable", err)
			}
		})
	}
}

// TestEverySubscriberHasAll checks that there is nothing like a group.
func TestEverySubscriberHasAll(t *testing.T) {
	b := open(t, options())
	var receivers sync.WaitGroup
	for range 3 {
		subscriber, _ := b.Subscriber("group")
		messages, err := subscriber.Subscribe(t.Context(), "topic")
		if err != nil {
			t.Fatal(err)
		}
		receivers.Go(func() {
			for range 10 {
				(<-messages).Ack()
			}
		})
	}
	for range 5 {
		err := b.Publisher().Publish("topic",
			message.NewMessage(watermill.NewUUID(), nil), message.NewMessage(watermill.NewUUID(), nil))
		if err != nil {
			t.Fatal(err)
		}
	}
	receivers.Wait()
}

// TestPublisherContextDoesNotReachTheReceiver publishes a message whose context has ended.
func TestPublisherContextDoesNotReachTheReceiver(t *testing.T) {
	b := open(t, options())
	subscriber, _ := b.Subscriber("group")
	messages, err := subscriber.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	msg := message.NewMessageWithContext(ctx, watermill.NewUUID(), nil)
	published := make(chan error)
	go func() { published <- b.Publisher().Publish("topic", msg) }()
	received := <-messages
	if err := received.Context().Err(); err != nil {
		t.Errorf("the receiver's context: %v", err)
	}
	received.Ack()
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	if o, ok := application.OriginFrom(msg.Context()); !ok || o.Offset < time.Now().Add(-time.Hour).UnixMicro() {
		t.Errorf("the publisher's origin is %+v", o)
	}
}
