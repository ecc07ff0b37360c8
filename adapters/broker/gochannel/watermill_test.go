package gochannel_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestWatermill runs those tests of Watermill's suite that a volatile log can pass: not the ones that need groups or
// records from before a subscription. The suite publishes first and then subscribes, so an outbox holds what it publishes.
func TestWatermill(t *testing.T) {
	features := tests.Features{
		GuaranteedOrder: true, ExactlyOnceDelivery: true, RequireSingleInstance: true, ForceShort: true,
	}
	for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"PublishSubscribe":                  tests.TestPublishSubscribe,
		"ConcurrentSubscribe":               tests.TestConcurrentSubscribe,
		"ConcurrentSubscribeMultipleTopics": tests.TestConcurrentSubscribeMultipleTopics,
		"ResendOnError":                     tests.TestResendOnError,
		"NoAck":                             tests.TestNoAck,
		"PublishSubscribeInOrder":           tests.TestPublishSubscribeInOrder,
		"PublisherClose":                    tests.TestPublisherClose,
		"Topic":                             tests.TestTopic,
		"MessageCtx":                        tests.TestMessageCtx,
		"SubscribeCtx":                      tests.TestSubscribeCtx,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, newPubSub)
		})
	}
}

func newPubSub(t *testing.T) (message.Publisher, message.Subscriber) {
	b := open(t, options())
	subscriber, err := b.Subscriber("")
	if err != nil {
		t.Fatal(err)
	}
	box := &outbox{Broker: b, waiting: map[string]chan []*message.Message{}, closing: make(chan struct{})}
	return box, subscriber
}

// outbox publishes, in order, as soon as somebody is subscribed.
type outbox struct {
	broker.Broker

	mu      sync.Mutex
	running sync.WaitGroup
	closed  bool
	closing chan struct{}
	waiting map[string]chan []*message.Message
}

func (o *outbox) Publish(topic string, msgs ...*message.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return errors.New("closed")
	}
	queue := o.waiting[topic]
	if queue == nil {
		queue = make(chan []*message.Message, 10_000)
		o.waiting[topic] = queue
		o.running.Go(func() { o.deliver(topic, queue) })
	}
	copies := make([]*message.Message, len(msgs))
	for i, msg := range msgs {
		copies[i] = msg.Copy()
	}
	queue <- copies
	return nil
}

func (o *outbox) deliver(topic string, queue <-chan []*message.Message) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		select {
		case msgs := <-queue:
			for errors.Is(o.Publisher().Publish(topic, msgs...), domain.ErrUnavailable) {
				select {
				case <-again.C:
				case <-o.closing:
					return
				}
			}
		case <-o.closing:
			return
		}
	}
}

func (o *outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	close(o.closing)
	err := o.Broker.Close()
	o.running.Wait()
	return err
}
