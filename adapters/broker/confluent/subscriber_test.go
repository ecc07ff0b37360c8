//go:build cgo

package confluent

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

const patience = 30 * time.Second

// subscribe subscribes until the test ends.
func subscribe(t *testing.T, b *Broker, group, topic string) (message.Subscriber, <-chan *message.Message) {
	t.Helper()
	sub, err := b.Subscriber(group)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := sub.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return sub, msgs
}

func next(t *testing.T, msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, open := <-msgs:
		if !open {
			t.Fatal("the channel is closed")
		}
		return msg
	case <-time.After(patience):
		t.Fatalf("no message after %v", patience)
	}
	return nil
}

func origin(t *testing.T, msg *message.Message) application.Origin {
	t.Helper()
	o, ok := application.OriginFrom(msg.Context())
	if !ok {
		t.Fatal("a message without origin")
	}
	return o
}

func position(t *testing.T, msg *message.Message) application.Position {
	t.Helper()
	return origin(t, msg).Position
}

func publish(t *testing.T, b *Broker, topic string, n, size int) {
	t.Helper()
	msgs := keyed(n)
	for _, msg := range msgs {
		msg.Payload = make([]byte, size)
	}
	if err := b.Publisher().Publish(topic, msgs...); err != nil {
		t.Fatal(err)
	}
}

// TestSlowReceiver has so little room that partitions are paused again and again: nothing is lost, nor comes twice or out
// of order, also when they move to another member while they are paused.
func TestSlowReceiver(t *testing.T) {
	const records = 1500
	for _, group := range []string{"", "group"} {
		t.Run("Group="+group, func(t *testing.T) {
			o := benchOptions()
			b := openTest(t, "confluent://"+addresses(fake(t))+"?in-flight=5", o)
			b.readAhead = 200_000
			publish(t, b, o.Topic, records, 1000)
			_, msgs := subscribe(t, b, group, o.Topic)
			places := map[int32]int64{}
			for n := range records {
				if n == records/2 && group != "" {
					passing, _ := subscribe(t, b, group, o.Topic)
					go func() { _ = passing.Close() }()
				}
				msg := next(t, msgs)
				p := position(t, msg)
				if p.Offset != places[p.Partition] {
					t.Fatalf("partition %d: got offset %d, want %d", p.Partition, p.Offset, places[p.Partition])
				}
				places[p.Partition]++
				msg.Ack()
			}
		})
	}
}

// TestNewPartitions adds partitions to a topic that is read without a group.
func TestNewPartitions(t *testing.T) {
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(fake(t)), o)
	b.lookout = 20 * time.Millisecond
	publish(t, b, o.Topic, 10, 1)
	_, msgs := subscribe(t, b, "", o.Topic)
	for range 10 {
		next(t, msgs).Ack()
	}
	grow(t, b, o.Topic, o.Partitions+2)
	added := int32(o.Partitions)
	other := openTest(t, "confluent://"+addressesOf(b), o)
	publish(t, other, o.Topic, 200, 1)
	seen := map[int32]bool{}
	for range 200 {
		msg := next(t, msgs)
		seen[position(t, msg).Partition] = true
		msg.Ack()
	}
	if !seen[added] || !seen[added+1] {
		t.Errorf("records came from the partitions %v", seen)
	}
}

func addressesOf(b *Broker) string { return b.consumer["bootstrap.servers"].(string) }

func grow(t *testing.T, b *Broker, topic string, partitions int) {
	t.Helper()
	err := b.admin.ask(t.Context(), func(c *kafka.AdminClient, _ kafka.AdminOptionRequestTimeout) error {
		_, err := c.CreatePartitions(t.Context(), []kafka.PartitionsSpecification{{Topic: topic, IncreaseTo: partitions}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPayloads checks that a null value comes as an empty payload, and an empty one too.
func TestPayloads(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(c), o)
	for _, payload := range [][]byte{nil, {}} {
		msg := message.NewMessage("id", payload)
		msg.Metadata.Set(broker.KeyMetadata, "key")
		if err := b.Publisher().Publish(o.Topic, msg); err != nil {
			t.Fatal(err)
		}
	}
	_, msgs := subscribe(t, b, "", o.Topic)
	for _, null := range []bool{true, false} {
		msg := next(t, msgs)
		if len(msg.Payload) != 0 || (msg.Payload == nil) != null {
			t.Errorf("got the payload %#v", msg.Payload)
		}
		msg.Ack()
	}
}
