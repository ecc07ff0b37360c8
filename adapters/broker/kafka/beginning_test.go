package kafka_test

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// commit commits a group's place in partition 0.
func commit(t *testing.T, addresses []string, topic, group string, place int64) {
	t.Helper()
	client, err := sarama.NewClient(addresses, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	coordinator, err := client.Coordinator(group)
	if err != nil {
		t.Fatal(err)
	}
	request := &sarama.OffsetCommitRequest{Version: 2, ConsumerGroup: group, ConsumerGroupGeneration: -1, RetentionTime: -1}
	request.AddBlock(topic, 0, place, 0, "")
	for deadline := time.Now().Add(patience); ; {
		response, err := coordinator.CommitOffset(request)
		if err == nil && response.Errors[topic][0] == sarama.ErrNoError {
			return
		}
		// A topic that has just been made is not known to the whole server yet.
		if err != nil || response.Errors[topic][0] != sarama.ErrUnknownTopicOrPartition || time.Now().After(deadline) {
			t.Fatalf("commit %d: %v, %v", place, err, response)
		}
	}
}

// subscribeFrom is subscribe for a receiver with places.
func subscribeFrom(t *testing.T, b broker.Broker, group, topic string, start broker.Start) (<-chan *message.Message, message.Subscriber) {
	t.Helper()
	s, err := b.(broker.Resumer).SubscriberFrom(group, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	messages, err := s.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return messages, s
}

const none = broker.NoPlace

// beginnings are all ways to begin with a log that has the offsets 2 to 9; withStart false is a receiver without places.
var beginnings = map[string]struct {
	group, start int64
	withStart    bool
	want         int64
}{
	"new group":                         {none, none, false, 2},
	"group":                             {6, none, false, 6},
	"group behind the end":              {20, none, false, 2},
	"group before the first record":     {1, none, false, 2},
	"receiver behind the group":         {6, 8, true, 6},
	"receiver before the group":         {6, 4, true, 4},
	"receiver without place":            {6, none, true, 2},
	"receiver beyond the end":           {6, 20, true, 2},
	"receiver before the first record":  {6, 1, true, 2},
	"new group, receiver with a place":  {none, 4, true, 2},
	"group beyond the end and receiver": {20, 4, true, 2},
}

func TestMemberBegins(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) { testMemberBegins(t, addresses, "") })
}

func TestWatermillSubscriberBegins(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		testMemberBegins(t, addresses, "subscriber=watermill")
		testReplayBegins(t, addresses, "subscriber=watermill")
	})
}

func testMemberBegins(t *testing.T, addresses []string, query string) {
	o := options()
	b := open(t, addresses, query, o)
	publish(t, b, o.Topic, keyed("key", 10, 1)...)
	if err := admin(t, addresses).DeleteRecords(o.Topic, map[int32]int64{0: 2}); err != nil {
		t.Fatal(err)
	}
	for name, test := range beginnings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, addresses, query, o)
			group := "group-" + watermill.NewShortUUID()
			if test.group != none {
				commit(t, addresses, o.Topic, group, test.group)
			}
			messages, subscriber := subscribeTo(t, b, group, o.Topic, test.withStart, test.start)
			for offset := test.want; offset < 10; offset++ {
				msg := next(t, messages)
				if got := origin(t, msg).Offset; got != offset {
					t.Fatalf("got offset %d, want %d", got, offset)
				}
				msg.Ack()
			}
			if err := subscriber.Close(); err != nil {
				t.Fatal(err)
			}
			wantPlaces(t, b, o.Topic, group, map[int32]int64{0: 10})
		})
	}
}

func subscribeTo(
	t *testing.T, b broker.Broker, group, topic string, withStart bool, start int64,
) (<-chan *message.Message, message.Subscriber) {
	t.Helper()
	if !withStart {
		return subscribe(t, b, group, topic)
	}
	return subscribeFrom(t, b, group, topic, func(context.Context, string) (map[int32]int64, error) {
		if start == none {
			return map[int32]int64{}, nil
		}
		return map[int32]int64{0: start}, nil
	})
}

func wantPlaces(t *testing.T, b broker.Broker, topic, group string, want map[int32]int64) {
	t.Helper()
	got, err := b.(broker.Placer).Places(t.Context(), topic, group)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("places %v, error %v, want %v", got, err, want)
	}
}

func TestReplayBegins(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) { testReplayBegins(t, addresses, "") })
}

func testReplayBegins(t *testing.T, addresses []string, query string) {
	o := options()
	b := open(t, addresses, query, o)
	publish(t, b, o.Topic, keyed("key", 10, 1)...)
	if err := admin(t, addresses).DeleteRecords(o.Topic, map[int32]int64{0: 2}); err != nil {
		t.Fatal(err)
	}
	for start, want := range map[int64]int64{none: 2, 1: 2, 2: 2, 4: 4, 9: 9, 20: 2} {
		messages, _ := subscribeTo(t, b, "", o.Topic, true, start)
		if got := origin(t, next(t, messages)).Offset; got != want {
			t.Errorf("start %d: began with offset %d, want %d", start, got, want)
		}
	}
}

// TestReceiverIsAway has the receiver not tell its places for a while: nothing comes, and then what it lacks.
func TestReceiverIsAway(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	o := options()
	b := open(t, cluster.ListenAddrs(), "", o)
	publish(t, b, o.Topic, keyed("key", 10, 1)...)
	commit(t, cluster.ListenAddrs(), o.Topic, "group", 8)
	for _, group := range []string{"group", ""} {
		var asked atomic.Int32
		messages, _ := subscribeFrom(t, b, group, o.Topic, func(context.Context, string) (map[int32]int64, error) {
			if asked.Add(1) < 5 {
				return nil, errors.New("away")
			}
			return map[int32]int64{0: 3}, nil
		})
		if got := origin(t, next(t, messages)).Offset; got != 3 || asked.Load() < 5 {
			t.Errorf("group %q: began with offset %d after %d questions", group, got, asked.Load())
		}
	}
}

// TestTopicMadeAnew has a group, and a receiver, whose places are beyond the end of the new topic.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		group := "group-" + watermill.NewShortUUID()
		b := open(t, addresses, "", o)
		publish(t, b, o.Topic, keyed("key", 10, 1)...)
		messages, subscriber := subscribe(t, b, group, o.Topic)
		acked(t, messages, 10)
		if err := subscriber.Close(); err != nil {
			t.Fatal(err)
		}
		remake(t, addresses, o.Topic)
		commit(t, addresses, o.Topic, group, 10) // as a server does which keeps the places of topics that have gone
		b = open(t, addresses, "", o)
		msgs := keyed("key", 5, 1)
		publish(t, b, o.Topic, msgs...)
		messages, subscriber = subscribe(t, b, group, o.Topic)
		wantIDs(t, acked(t, messages, 5), msgs)
		if err := subscriber.Close(); err != nil {
			t.Fatal(err)
		}
		wantPlaces(t, b, o.Topic, group, map[int32]int64{0: 5})
	})
}

// TestTopicIsGone has the topic deleted under a broker that knows it: who asks for its ends has it made again.
func TestTopicIsGone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		b := open(t, addresses, "", o)
		publish(t, b, o.Topic, keyed("key", 10, 1)...)
		if err := admin(t, addresses).DeleteTopic(o.Topic); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(patience); ; {
			bounds, err := b.(broker.Bounder).Bounds(t.Context(), o.Topic)
			if err == nil && len(bounds) == o.Partitions && bounds[0].Next == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v, %v", bounds, err)
			}
		}
	})
}

// remake deletes the topic and makes it anew.
func remake(t *testing.T, addresses []string, topic string) {
	t.Helper()
	a := admin(t, addresses)
	if err := a.DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		err := a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestOffsetsAt(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		o.Partitions = 2
		b := open(t, addresses, "", o)
		noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
		publish(t, b, o.DeadLetterTopic, keyed("key", 1, 1)...) // makes the main topic as well
		if _, err := b.(broker.Bounder).Bounds(t.Context(), o.Topic); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			record := &sarama.ProducerMessage{Topic: o.Topic, Timestamp: noon.Add(time.Duration(i) * time.Second)}
			if _, _, err := foreign(t, addresses, nil).SendMessage(record); err != nil {
				t.Fatal(err)
			}
		}
		for at, want := range map[time.Time]int64{
			{}: 0, noon: 0, noon.Add(1): 1, noon.Add(2 * time.Second): 2, noon.Add(3500 * time.Millisecond): 4, noon.Add(time.Hour): 5,
		} {
			got, err := b.(broker.Seeker).OffsetsAt(t.Context(), o.Topic, at)
			if err != nil || !maps.Equal(got, map[int32]int64{0: want, 1: 0}) {
				t.Errorf("%v: offsets %v, error %v, want %d", at, got, err, want)
			}
		}
	})
}

func TestPlacesOfNobody(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		b := open(t, addresses, "", o)
		wantPlaces(t, b, o.Topic, "nobody", map[int32]int64{})
		publish(t, b, o.Topic, keyed("key", 1, 1)...)
		wantPlaces(t, b, o.Topic, "nobody", map[int32]int64{})
	})
}

// TestOutOfRange has a server that has lost the last records, and got others in their places before it is asked again: whoever stood
// behind them begins with the first record, as what took their places would be passed over.
func TestOutOfRange(t *testing.T) {
	t.Parallel()
	for name, group := range map[string]string{"member": "group-" + watermill.NewShortUUID(), "replay": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := fake(t)
			o := options()
			b := open(t, cluster.ListenAddrs(), "", o)
			publish(t, b, o.Topic, keyed("key", 20, 1)...)
			messages, _ := subscribe(t, b, group, o.Topic)
			acked(t, messages, 20)
			lost := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: o.Topic, Err: kerr.OffsetOutOfRange})
			if err := lost.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			publish(t, b, o.Topic, keyed("key", 20, 1)...)
			for offset := range int64(40) {
				msg := next(t, messages)
				if got := origin(t, msg).Offset; got != offset {
					t.Fatalf("got offset %d, want %d", got, offset)
				}
				msg.Ack()
			}
		})
	}
}
