//go:build cgo

package confluent

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

const none = broker.NoPlace

// both runs the test on a Kafka in this process and on a real one.
func both(t *testing.T, test func(t *testing.T, servers string)) {
	t.Run("fake", func(t *testing.T) { test(t, addresses(fake(t))) })
	t.Run("real", func(t *testing.T) { test(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")) })
}

// onAdmin calls do with a client for administrative requests.
func onAdmin(t *testing.T, b *Broker, do func(*kafka.AdminClient, kafka.AdminOptionRequestTimeout) error) {
	t.Helper()
	if err := b.admin.ask(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

// commit commits a group's place in partition 0.
func commit(t *testing.T, b *Broker, topic, group string, place int64) {
	t.Helper()
	onAdmin(t, b, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		places := []kafka.TopicPartition{{Topic: &topic, Offset: kafka.Offset(place)}}
		_, err := c.AlterConsumerGroupOffsets(t.Context(), []kafka.ConsumerGroupTopicPartitions{{Group: group, Partitions: places}}, timeout)
		return err
	})
}

// subscribeFrom is subscribe for a receiver with places.
func subscribeFrom(t *testing.T, b *Broker, group, topic string, start broker.Start) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	sub, err := b.SubscriberFrom(group, start)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := sub.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return sub, msgs
}

// at is a receiver that stands at the offset of partition 0.
func at(offset int64) broker.Start {
	return func(context.Context, string) (map[int32]int64, error) {
		if offset == none {
			return map[int32]int64{}, nil
		}
		return map[int32]int64{0: offset}, nil
	}
}

// fromTwo opens a broker whose topic has the offsets 2 to 9 in its one partition.
func fromTwo(t *testing.T, servers string) *Broker {
	t.Helper()
	o := benchOptions()
	o.Partitions = 1
	b := openTest(t, "confluent://"+servers, o)
	publish(t, b, o.Topic, 10, 1)
	onAdmin(t, b, func(c *kafka.AdminClient, _ kafka.AdminOptionRequestTimeout) error {
		_, err := c.DeleteRecords(t.Context(), []kafka.TopicPartition{{Topic: &o.Topic, Offset: 2}})
		return err
	})
	return b
}

func wantPlaces(t *testing.T, b *Broker, group string, want map[int32]int64) {
	t.Helper()
	got, err := b.Places(t.Context(), b.options.Topic, group)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("places %v, error %v, want %v", got, err, want)
	}
}

func TestMemberBegins(t *testing.T) {
	both(t, func(t *testing.T, servers string) {
		b := fromTwo(t, servers)
		for name, test := range map[string]struct {
			group int64
			start broker.Start
			want  int64
		}{
			"new group":                         {none, nil, 2},
			"group":                             {6, nil, 6},
			"group beyond the end":              {20, nil, 2},
			"group before the first record":     {1, nil, 2},
			"receiver behind the group":         {6, at(8), 6},
			"receiver before the group":         {6, at(4), 4},
			"receiver without place":            {6, at(none), 2},
			"receiver beyond the end":           {6, at(20), 2},
			"receiver before the first record":  {6, at(1), 2},
			"new group, receiver with a place":  {none, at(4), 2},
			"group beyond the end and receiver": {20, at(4), 2},
		} {
			t.Run(name, func(t *testing.T) {
				group := "group-" + watermill.NewShortUUID()
				if test.group != none {
					commit(t, b, b.options.Topic, group, test.group)
				}
				sub, msgs := subscribeFrom(t, b, group, b.options.Topic, test.start)
				for offset := test.want; offset < 10; offset++ {
					msg := next(t, msgs)
					if got := position(t, msg).Offset; got != offset {
						t.Fatalf("got offset %d, want %d", got, offset)
					}
					msg.Ack()
				}
				if err := sub.Close(); err != nil {
					t.Fatal(err)
				}
				wantPlaces(t, b, group, map[int32]int64{0: 10})
			})
		}
	})
}

// TestMemberBeginsAfterLostAnswer has the connection break over the questions where the log begins and ends: a group without a place
// begins with the first record all the same.
func TestMemberBeginsAfterLostAnswer(t *testing.T) {
	server := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(server), o)
	publish(t, b, o.Topic, 20, 20)
	for answered := range int32(2) {
		var left atomic.Int32
		left.Store(answered)
		broken := make(chan struct{})
		server.ControlKey(kmsg.ListOffsets.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			if left.Add(-1) >= 0 {
				return nil, nil, false
			}
			close(broken)
			return nil, errors.New("broken"), true
		})
		sub, msgs := subscribe(t, b, "group-"+watermill.NewShortUUID(), o.Topic)
		for range 20 {
			next(t, msgs).Ack()
		}
		<-broken
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlaceIsLowered checks that a place beyond the end is replaced before anything is acked: the log may grow beyond it.
func TestPlaceIsLowered(t *testing.T) {
	both(t, func(t *testing.T, servers string) {
		b := fromTwo(t, servers)
		group := "group-" + watermill.NewShortUUID()
		commit(t, b, b.options.Topic, group, 20)
		sub, msgs := subscribe(t, b, group, b.options.Topic)
		next(t, msgs).Ack()
		next(t, msgs)
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
		wantPlaces(t, b, group, map[int32]int64{0: 3})
	})
}

func TestReplayBegins(t *testing.T) {
	both(t, func(t *testing.T, servers string) {
		b := fromTwo(t, servers)
		for start, want := range map[int64]int64{none: 2, 1: 2, 2: 2, 4: 4, 9: 9, 20: 2} {
			sub, msgs := subscribeFrom(t, b, "", b.options.Topic, at(start))
			if got := position(t, next(t, msgs)).Offset; got != want {
				t.Errorf("start %d: began with offset %d, want %d", start, got, want)
			}
			if err := sub.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestReceiverWithoutAnswer has the receiver not tell its places for a while: nothing comes, and then what it lacks.
func TestReceiverWithoutAnswer(t *testing.T) {
	b := fromTwo(t, addresses(fake(t)))
	commit(t, b, b.options.Topic, "group", 8)
	for _, group := range []string{"group", ""} {
		var asked atomic.Int32
		_, msgs := subscribeFrom(t, b, group, b.options.Topic, func(context.Context, string) (map[int32]int64, error) {
			if asked.Add(1) < 5 {
				return nil, errors.New("away")
			}
			return map[int32]int64{0: 3}, nil
		})
		if got := position(t, next(t, msgs)).Offset; got != 3 || asked.Load() < 5 {
			t.Errorf("group %q: began with offset %d after %d questions", group, got, asked.Load())
		}
	}
}

// TestRevokedBeforeItBegan has a second member join, and the first one leave, while a receiver does not answer.
func TestRevokedBeforeItBegan(t *testing.T) {
	servers := addresses(fake(t))
	o := benchOptions()
	o.Partitions = 2
	b := openTest(t, "confluent://"+servers, o)
	publish(t, b, o.Topic, 20, 1)
	asked := make(chan struct{}, 1000)
	first, _ := subscribeFrom(t, b, "group", o.Topic, func(ctx context.Context, _ string) (map[int32]int64, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	<-asked
	_, msgs := subscribe(t, b, "group", o.Topic)
	next(t, msgs).Ack() // of the partition that it has
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for range 19 {
		next(t, msgs).Ack()
	}
}

func TestOffsetsAt(t *testing.T) {
	both(t, func(t *testing.T, servers string) {
		o := benchOptions()
		o.Partitions = 1
		b := openTest(t, "confluent://"+servers, o)
		before := time.Now().Add(-time.Second)
		publish(t, b, o.Topic, 3, 1)
		_, msgs := subscribe(t, b, "", o.Topic)
		last := origin(t, next(t, msgs)).Time
		for when, want := range map[time.Time]int64{{}: 0, before: 0, last: 0, last.Add(1): 3, last.Add(time.Hour): 3} {
			got, err := b.OffsetsAt(t.Context(), o.Topic, when)
			if err != nil || !maps.Equal(got, map[int32]int64{0: want}) {
				t.Errorf("%v: offsets %v, error %v, want %d", when, got, err, want)
			}
		}
	})
}

func TestPlacesOfNobody(t *testing.T) {
	both(t, func(t *testing.T, servers string) {
		o := benchOptions()
		b := openTest(t, "confluent://"+servers, o)
		wantPlaces(t, b, "nobody", map[int32]int64{})
		publish(t, b, o.Topic, 1, 1)
		wantPlaces(t, b, "nobody", map[int32]int64{})
	})
}
