package kafka_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func kfakeBrokers(n int) []kfake.Opt { return []kfake.Opt{kfake.NumBrokers(n)} }

// TestPartitioner checks that a key is in the same partition for the log's lanes, Sarama and the server.
func TestPartitioner(t *testing.T) {
	both(t, func(t *testing.T, addresses []string) {
		const partitions = 7
		o := options()
		o.Partitions = partitions
		b := open(t, addresses, "", o)
		reference := sarama.NewMurmur2Partitioner(o.Topic)
		for i := range 50 {
			key := fmt.Sprintf("ключ %d", i)
			msg := keyed(key, 1, 1)[0]
			publish(t, b, o.Topic, msg)
			theirs, err := reference.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, partitions)
			if err != nil {
				t.Fatal(err)
			}
			lane, got := broker.Partition([]byte(key), partitions), origin(t, msg).Partition
			if int(got) != lane || got != theirs {
				t.Errorf("key %q: partition %d, lane %d, Sarama %d", key, got, lane, theirs)
			}
		}
	})
}

// TestProducerIsReplaced has the server find the producer's sequence broken, once.
func TestProducerIsReplaced(t *testing.T) {
	t.Parallel()
	for _, broken := range []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch} {
		t.Run(broken.Message, func(t *testing.T) {
			cluster := fake(t)
			o := options()
			b := open(t, cluster.ListenAddrs(), "", o)
			publish(t, b, o.Topic, keyed("key", 3, 1)...)
			producers := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: o.Topic, Err: broken})
			if err := b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...); !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("got the error %v, want unavailable", err)
			}
			publish(t, b, o.Topic, keyed("key", 3, 1)...)
			if producers.Hits() == 0 {
				t.Error("no new producer")
			}
		})
	}
}

// TestNoProducerID has the server refuse to let anybody produce, for a while.
func TestNoProducerID(t *testing.T) {
	cluster := fake(t)
	o := options()
	o.PublishTimeout = time.Second
	b := open(t, cluster.ListenAddrs(), "", o)
	fault := cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1,
	})
	wantUnavailable(t, "publish", b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...))
	goroutines := runtime.NumGoroutine()
	for range 2 {
		wantUnavailable(t, "publish", b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...))
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines after %d", n, goroutines)
	}
	fault.Remove()
	publish(t, b, o.Topic, keyed("key", 3, 1)...)
}

// TestTransientErrorsAreRetried has the server refuse for a while.
func TestTransientErrorsAreRetried(t *testing.T) {
	t.Parallel()
	for _, refusal := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.UnknownTopicOrPartition,
	} {
		t.Run(refusal.Message, func(t *testing.T) {
			cluster := fake(t)
			o := options()
			b := open(t, cluster.ListenAddrs(), "", o)
			publish(t, b, o.Topic, keyed("key", 1, 1)...)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: o.Topic, Err: refusal, Count: 3})
			msgs := keyed("key", 10, 1)
			publish(t, b, o.Topic, msgs...)
			messages, _ := subscribe(t, b, "", o.Topic)
			acked(t, messages, 1)
			wantIDs(t, acked(t, messages, 10), msgs)
		})
	}
}

// TestOnePartitionWithoutLeader holds up no other: each lane of the log publishes on its own.
func TestOnePartitionWithoutLeader(t *testing.T) {
	cluster := fake(t)
	o := options()
	o.Partitions, o.PublishTimeout = 2, 2*time.Second
	b := open(t, cluster.ListenAddrs(), "", o)
	publish(t, b, o.Topic, keyed("key", 1, 1)...)
	keys := map[int]string{}
	for i := 0; len(keys) < 2; i++ {
		keys[broker.Partition(fmt.Append(nil, i), 2)] = fmt.Sprint(i)
	}
	fault := cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: o.Topic, Partitions: []int32{0}, Err: kerr.NotLeaderForPartition, Count: -1,
	})
	stuck := make(chan error, 1)
	go func() { stuck <- b.Publisher().Publish(o.Topic, keyed(keys[0], 1000, 1)...) }()
	for range 20 {
		within(t, time.Second, "publish to the other partition", func() { publish(t, b, o.Topic, keyed(keys[1], 100, 1)...) })
	}
	wantUnavailable(t, "publish without leader", <-stuck)
	fault.Remove()
	publish(t, b, o.Topic, keyed(keys[0], 10, 1)...)
}

// TestPartOfABatchFails tells apart the messages of one publication.
func TestPartOfABatchFails(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	o := options()
	o.Partitions = 2
	b := open(t, cluster.ListenAddrs(), "", o)
	publish(t, b, o.Topic, keyed("key", 1, 1)...)
	cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: o.Topic, Partitions: []int32{0}, Err: kerr.PolicyViolation, Count: -1,
	})
	msgs := append(keyed("0", 1, 1), keyed("1", 1, 1)...)
	for i := 2; broker.Partition([]byte(msgs[0].Metadata[broker.KeyMetadata]), 2) == broker.Partition([]byte(msgs[1].Metadata[broker.KeyMetadata]), 2); i++ {
		msgs[1] = keyed(fmt.Sprint(i), 1, 1)[0]
	}
	var each application.PublishError
	if err := b.Publisher().Publish(o.Topic, msgs...); !errors.As(err, &each) {
		t.Fatalf("got the error %v", err)
	}
	for i, msg := range msgs {
		refused := broker.Partition([]byte(msg.Metadata[broker.KeyMetadata]), 2) == 0
		if errors.Is(each[i], domain.ErrUnavailable) != refused || (each[i] == nil) == refused {
			t.Errorf("message %d: %v, refused: %v", i, each[i], refused)
		}
	}
}

// TestLimitUnknown has a server that does not tell the topic's limit.
func TestLimitUnknown(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	o := options()
	b := open(t, cluster.ListenAddrs(), "", o)
	publish(t, b, o.Topic, keyed("key", 5, 500_000)...)
	if err := b.Publisher().Publish(o.Topic, keyed("key", 1, 2<<20)...); !errors.Is(err, domain.ErrTooLarge) {
		t.Errorf("got the error %v, want too large", err)
	}
}
