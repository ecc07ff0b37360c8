package kafka_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

func TestWatermillFake(t *testing.T) {
	t.Parallel()
	testWatermill(t, fake(t).ListenAddrs(), true)
}

func TestWatermill(t *testing.T) {
	t.Parallel()
	testWatermill(t, []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")}, testing.Short())
}

// testWatermill runs Watermill's suite on topics with one partition: strictly, with one message in flight; with the default
// window, ahead of acks; and without a group.
func testWatermill(t *testing.T, addresses []string, short bool) {
	features := tests.Features{ConsumerGroups: true, Persistent: true, ForceShort: short}
	t.Run("one in flight", func(t *testing.T) {
		t.Parallel()
		strict := features
		strict.GuaranteedOrder = true
		runSuite(t, strict, newPubSub(addresses, "in-flight=1", true), newGroupPubSub(addresses, "in-flight=1"))
	})
	t.Run("ahead of acks", func(t *testing.T) {
		t.Parallel()
		runSuite(t, features, newPubSub(addresses, "", true), newGroupPubSub(addresses, ""))
	})
	t.Run("no group", func(t *testing.T) {
		t.Parallel()
		replay := features
		replay.ConsumerGroups, replay.NewSubscriberReceivesOldMessages = false, true
		runSuite(t, replay, newPubSub(addresses, "", false), nil)
	})
}

// runSuite is the suite's TestPubSub, except that the test with 300 nacks is always the short one: as nacks are paced, it
// would take half an hour.
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
			test(t, c, constructor)
		})
	}
}

// newPubSub makes publishers and subscribers that, within one test, are of one group, or of none.
// run keeps groups of one run apart from those of the last one.
var run = watermill.NewShortUUID()

func newPubSub(addresses []string, query string, inGroup bool) tests.PubSubConstructor {
	return func(t *testing.T) (message.Publisher, message.Subscriber) {
		group := ""
		if inGroup {
			group = t.Name() + run
		}
		return newGroupPubSub(addresses, query)(t, group)
	}
}

func newGroupPubSub(addresses []string, query string) tests.ConsumerGroupPubSubConstructor {
	return func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		b := open(t, addresses, query, options())
		subscriber, err := b.Subscriber(group)
		if err != nil {
			t.Fatal(err)
		}
		return b.Publisher(), subscriber
	}
}
