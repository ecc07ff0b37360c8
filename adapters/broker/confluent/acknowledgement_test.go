//go:build cgo

package confluent

import (
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestFirstRequestFails has the server refuse the first request to each partition, as it may do with a new one.
func TestFirstRequestFails(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(c), o)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: o.Partitions})
	msgs := keyed(5000)
	if err := b.Publisher().Publish(o.Topic, msgs...); err != nil {
		t.Fatal(err)
	}
	checkPlaces(t, b, o.Topic, msgs)
}

// TestNewTopicsOnKafka publishes to new topics, whose leaders may not know of them yet: all that is acknowledged is there.
func TestNewTopicsOnKafka(t *testing.T) {
	servers := brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")
	for range 20 {
		o := benchOptions()
		b := openTest(t, "confluent://"+servers, o)
		msgs := keyed(2000)
		if err := b.Publisher().Publish(o.Topic, msgs...); err != nil {
			t.Fatal(err)
		}
		checkPlaces(t, b, o.Topic, msgs)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkPlaces checks that the topic holds the messages in order, and nothing else.
func checkPlaces(t *testing.T, b *Broker, topic string, msgs []*message.Message) {
	t.Helper()
	places := map[int32]int64{}
	for _, msg := range msgs {
		p := position(t, msg)
		if p.Offset != places[p.Partition] {
			t.Fatalf("partition %d: got offset %d, want %d", p.Partition, p.Offset, places[p.Partition])
		}
		places[p.Partition]++
	}
	bounds, err := b.Bounds(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for partition, ends := range bounds {
		if ends.Next != places[partition] {
			t.Errorf("partition %d has %d records, want %d", partition, ends.Next, places[partition])
		}
	}
}

// TestUnprovenIsNoSuccess checks that a report without an offset is not taken for success.
func TestUnprovenIsNoSuccess(t *testing.T) {
	b := newBatch("topic", keyed(2))
	for place, offset := range []kafka.Offset{kafka.OffsetInvalid, 7} {
		b.settle(&kafka.Message{Opaque: place, TopicPartition: kafka.TopicPartition{Offset: offset}})
	}
	var each application.PublishError
	if !errors.As(b.outcome(), &each) || !errors.Is(each[0], domain.ErrUnavailable) || each[1] != nil {
		t.Errorf("got the errors %v", each)
	}
}
