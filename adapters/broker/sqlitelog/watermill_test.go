package sqlitelog_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// TestWatermill runs Watermill's suite with a group and without one. As two subscriptions of a group have one partition, a
// message comes once, unless it is nacked or not acked.
func TestWatermill(t *testing.T) {
	features := tests.Features{
		ConsumerGroups: true, ExactlyOnceDelivery: true, GuaranteedOrder: true, Persistent: true,
		RequireSingleInstance: true, ForceShort: testing.Short(),
	}
	t.Run("group", func(t *testing.T) {
		t.Parallel()
		b := open(t, options(t))
		runSuite(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
			return newPubSub(t, b, t.Name())
		}, func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
			return newPubSub(t, b, group)
		})
	})
	t.Run("no group", func(t *testing.T) {
		t.Parallel()
		b := open(t, options(t))
		replay := features
		replay.ConsumerGroups, replay.NewSubscriberReceivesOldMessages = false, true
		runSuite(t, replay, func(t *testing.T) (message.Publisher, message.Subscriber) {
			return newPubSub(t, b, "")
		}, nil)
	})
}

// runSuite is the suite's TestPubSub, except that the test with 300 nacks is always the short one, as nacks are paced, and
// that the ones which nack do not ask for strict order: what was delivered ahead comes before the redelivery.
func runSuite(
	t *testing.T, features tests.Features, constructor tests.PubSubConstructor, inGroup tests.ConsumerGroupPubSubConstructor,
) {
	for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"PublishSubscribe":                  tests.TestPublishSubscribe,
		"ConcurrentSubscribe":               tests.TestConcurrentSubscribe,
		"ConcurrentSubscribeMultipleTopics": tests.TestConcurrentSubscribeMultipleTopics,
		"ResendOnError":                     tests.TestResendOnError,
		"NoAck":                             tests.TestNoAck,
		"ContinueAfterSubscribeClose":       tests.TestContinueAfterSubscribeClose,
		"ConcurrentClose":                   tests.TestConcurrentClose,
		"ContinueAfterErrors":               tests.TestContinueAfterErrors,
		"PublishSubscribeInOrder":           tests.TestPublishSubscribeInOrder,
		"PublisherClose":                    tests.TestPublisherClose,
		"Topic":                             tests.TestTopic,
		"MessageCtx":                        tests.TestMessageCtx,
		"SubscribeCtx":                      tests.TestSubscribeCtx,
		"NewSubscriberReceivesOldMessages":  tests.TestNewSubscriberReceivesOldMessages,
		"ConsumerGroups": func(t *testing.T, c tests.TestContext, _ tests.PubSubConstructor) {
			tests.TestConsumerGroups(t, c, inGroup)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := tests.TestContext{TestID: tests.NewTestID(), Features: features}
			c.Features.ForceShort = c.Features.ForceShort || name == "ContinueAfterErrors"
			c.Features.GuaranteedOrder = c.Features.GuaranteedOrder && name != "NoAck"
			test(t, c, constructor)
		})
	}
}

// pubSub is a part of an open log: the suite closes it many times.
type pubSub struct{ message.Publisher }

func (pubSub) Close() error { return nil }

func newPubSub(t *testing.T, b broker.Broker, group string) (message.Publisher, message.Subscriber) {
	subscriber, err := b.Subscriber(group)
	if err != nil {
		t.Fatal(err)
	}
	return pubSub{b.Publisher()}, subscriber
}
