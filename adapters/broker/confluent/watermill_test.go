//go:build cgo

package confluent

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

func TestWatermillOnFake(t *testing.T) {
	testWatermill(t, strings.Join(fake(t).ListenAddrs(), ","))
}

func TestWatermillOnKafka(t *testing.T) {
	testWatermill(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"))
}

// testWatermill runs Watermill's own suite, which expects topics with one partition and no message ahead of an ack. In
// full it nacks one message a hundred times, which the pauses between deliveries make too long.
func testWatermill(t *testing.T, servers string) {
	pubSub := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		b := openTest(t, "confluent://"+servers+"?in-flight=1", watermillOptions())
		sub, err := b.Subscriber(group)
		if err != nil {
			t.Fatal(err)
		}
		return b.Publisher(), sub
	}
	inGroup := func(t *testing.T) (message.Publisher, message.Subscriber) { return pubSub(t, t.Name()) }
	alone := func(t *testing.T) (message.Publisher, message.Subscriber) { return pubSub(t, "") }
	features := tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ForceShort: true}
	t.Run("Group", func(t *testing.T) { tests.TestPubSub(t, features, inGroup, pubSub) })

	features = tests.Features{NewSubscriberReceivesOldMessages: true, GuaranteedOrder: true}
	for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"PublishSubscribe":                 tests.TestPublishSubscribe,
		"NoAck":                            tests.TestNoAck,
		"ResendOnError":                    tests.TestResendOnError,
		"MessageCtx":                       tests.TestMessageCtx,
		"SubscribeCtx":                     tests.TestSubscribeCtx,
		"NewSubscriberReceivesOldMessages": tests.TestNewSubscriberReceivesOldMessages,
	} {
		t.Run("Alone/"+name, func(t *testing.T) {
			t.Parallel()
			test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, alone)
		})
	}
}

func watermillOptions() broker.Options {
	return broker.Options{
		Topic: "watermill-" + watermill.NewShortUUID(), Partitions: 1,
		PublishTimeout: 10 * time.Second, MaxMessageBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}
}
