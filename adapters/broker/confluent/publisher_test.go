//go:build cgo

package confluent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// keyed returns n messages with keys of their own.
func keyed(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = message.NewMessage(watermill.NewUUID(), []byte("payload"))
		msgs[i].Metadata.Set(broker.KeyMetadata, strings.Repeat("k", i%7)+fmt.Sprint(i))
	}
	return msgs
}

func addresses(c *kfake.Cluster) string { return strings.Join(c.ListenAddrs(), ",") }

func TestPartitionerIsTheLogs(t *testing.T) {
	const many = 17
	o := benchOptions()
	o.Partitions = many
	b := openTest(t, "confluent://"+addresses(fake(t)), o)
	msgs := keyed(2000)
	msgs[0].Metadata.Set(broker.KeyMetadata, "")
	msgs[1].Metadata.Set(broker.KeyMetadata, "ключ\x00\xff")
	if err := b.Publisher().Publish(o.Topic, msgs...); err != nil {
		t.Fatal(err)
	}
	for _, msg := range msgs {
		origin, ok := application.OriginFrom(msg.Context())
		if want := broker.Partition([]byte(msg.Metadata.Get(broker.KeyMetadata)), many); !ok || int(origin.Partition) != want {
			t.Errorf("key %q is in partition %d, want %d", origin.Key, origin.Partition, want)
		}
	}
}

// TestFatalErrorIsSurvived ends the producer for good, again and again, while others publish.
func TestFatalErrorIsSurvived(t *testing.T) {
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(fake(t)), o)
	if err := b.Publisher().Publish(o.Topic, keyed(1)...); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p, err := b.client.acquire()
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				if err := b.Publisher().Publish(o.Topic, keyed(500)...); err != nil {
					t.Errorf("publish around a fatal error: %v", err)
				}
			})
		}
		p.TestFatalError(kafka.ErrOutOfOrderSequenceNumber, "for the test")
		p.release()
		running.Wait()
		if err := b.Publisher().Publish(o.Topic, keyed(1)...); err != nil {
			t.Errorf("publish after a fatal error: %v", err)
		}
		if err := b.Ping(t.Context()); err != nil {
			t.Errorf("ping after a fatal error: %v", err)
		}
	}
}

// TestServerLimit publishes to a topic whose limit is smaller than a batch.
func TestServerLimit(t *testing.T) {
	c := fake(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}), kfake.SeedTopics(1, "small"))
	b := openTest(t, "confluent://"+addresses(c), benchOptions())
	msgs := make([]*message.Message, 30)
	for i := range msgs {
		msgs[i] = message.NewMessage(fmt.Sprint(i), make([]byte, 4000))
	}
	msgs[11].Payload = make([]byte, 30_000)
	err := b.Publisher().Publish("small", msgs...)
	var each application.PublishError
	if !errors.As(err, &each) {
		t.Fatalf("got the error %v", err)
	}
	for i, err := range each {
		if tooLarge := errors.Is(err, domain.ErrTooLarge); tooLarge != (i == 11) || (err != nil && !tooLarge) {
			t.Errorf("message %d: got the error %v", i, err)
		}
	}
}

// TestFullQueue publishes more at once than librdkafka has room for.
func TestFullQueue(t *testing.T) {
	o := benchOptions()
	b := openWith(t, "confluent://"+addresses(fake(t)), o, kafka.ConfigMap{"queue.buffering.max.messages": 10})
	if err := b.Publisher().Publish(o.Topic, keyed(500)...); err != nil {
		t.Error(err)
	}
}

// TestStuckPartition checks that one partition which does not answer holds up no other, nor the reports of later calls.
func TestStuckPartition(t *testing.T) {
	c := fake(t, kfake.SeedTopics(2, "topic"))
	o := benchOptions()
	o.PublishTimeout = time.Second
	b := openTest(t, "confluent://"+addresses(c), o)
	stuck := c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: "topic", Partitions: []int32{0}, Err: kerr.NotEnoughReplicas, Count: -1,
	})
	msgs := keyed(50)
	start := time.Now()
	err := b.Publisher().Publish("topic", msgs...)
	if took := time.Since(start); took > 2*o.PublishTimeout {
		t.Errorf("took %v", took)
	}
	var each application.PublishError
	if !errors.As(err, &each) {
		t.Fatalf("got the error %v", err)
	}
	for i, msg := range msgs {
		want := broker.Partition([]byte(msg.Metadata.Get(broker.KeyMetadata)), 2) == 0
		if got := errors.Is(each[i], domain.ErrUnavailable); got != want {
			t.Errorf("message %d: got the error %v", i, each[i])
		}
	}
	stuck.Remove()
	if err := b.Publisher().Publish("topic", keyed(50)...); err != nil {
		t.Errorf("when the partition is back: %v", err)
	}
}

// TestServerAway opens without a server, and goes on when it is there.
func TestServerAway(t *testing.T) {
	port := freePort(t)
	o := benchOptions()
	o.PublishTimeout = 300 * time.Millisecond
	b := openTest(t, fmt.Sprint("confluent://127.0.0.1:", port), o)
	sub, err := b.Subscriber("group")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.PublishTimeout)
	defer cancel()
	_, subscribed := sub.Subscribe(t.Context(), o.Topic)
	_, asked := b.Bounds(ctx, o.Topic)
	for what, err := range map[string]error{
		"publish": b.Publisher().Publish(o.Topic, keyed(3)...), "subscribe": subscribed, "ping": b.Ping(ctx), "bounds": asked,
	} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: got the error %v", what, err)
		}
	}
	fake(t, kfake.NumBrokers(1), kfake.Ports(port))
	deadline := time.Now().Add(20 * time.Second)
	for err = b.Publisher().Publish(o.Topic, keyed(3)...); err != nil; err = b.Publisher().Publish(o.Topic, keyed(3)...) {
		if time.Now().After(deadline) {
			t.Fatalf("publish when the server is there: %v", err)
		}
	}
}
