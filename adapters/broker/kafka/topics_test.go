package kafka_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// both runs the test on a server in this process and on a real one.
func both(t *testing.T, test func(t *testing.T, addresses []string)) {
	t.Run("fake", func(t *testing.T) { test(t, fake(t).ListenAddrs()) })
	t.Run("real", func(t *testing.T) { test(t, []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")}) })
}

// describe returns how many partitions the topic has, and the limit of its batches.
func describe(t *testing.T, addresses []string, topic string) (partitions, limit int) {
	t.Helper()
	a := admin(t, addresses)
	topics, err := a.DescribeTopics([]string{topic})
	if err != nil {
		t.Fatal(err)
	}
	configs, err := a.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic}}, sarama.DescribeConfigsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range configs[0].Configs {
		if entry.Name == "max.message.bytes" {
			limit, _ = strconv.Atoi(entry.Value)
		}
	}
	return len(topics[0].Partitions), limit
}

func TestTopicsAreMade(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		o.Partitions, o.ReplicationFactor, o.MaxMessageBytes = 5, 1, 2<<20
		b := open(t, addresses, "", o)
		publish(t, b, o.DeadLetterTopic, keyed("key", 1, 1)...)
		partitions, limit := describe(t, addresses, o.Topic)
		if partitions != 5 || limit < o.MaxMessageBytes+4096 {
			t.Errorf("the topic has %d partitions and the limit %d", partitions, limit)
		}
		deadPartitions, deadLimit := describe(t, addresses, o.DeadLetterTopic)
		if deadPartitions != 5 || deadLimit < limit+4096 {
			t.Errorf("the dead letters' topic has %d partitions and the limit %d", deadPartitions, deadLimit)
		}
		publish(t, b, o.Topic, keyed("key", 3, o.MaxMessageBytes)...)
		publish(t, b, o.DeadLetterTopic, keyed("key", 1, limit)...)
	})
}

// TestExistingTopicIsKept has a topic with a small limit: it stays as it is, and many small records pass.
func TestExistingTopicIsKept(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		o.Partitions = 6
		small := "20000"
		err := admin(t, addresses).CreateTopic(o.Topic, &sarama.TopicDetail{
			NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"max.message.bytes": &small},
		}, false)
		if err != nil {
			t.Fatal(err)
		}
		b := open(t, addresses, "", o)
		publish(t, b, o.Topic, keyed("key", 500, 300)...)
		msgs := append(keyed("key", 2, 1), keyed("key", 1, 20000)...)
		var each application.PublishError
		if err := b.Publisher().Publish(o.Topic, msgs...); !errors.As(err, &each) || !errors.Is(each[2], domain.ErrTooLarge) || each[1] != nil {
			t.Errorf("got the error %v, want the last message to be too large", err)
		}
		if partitions, limit := describe(t, addresses, o.Topic); partitions != 2 || limit != 20000 {
			t.Errorf("the topic has %d partitions and the limit %d", partitions, limit)
		}
	})
}

// TestLimitChanges has somebody lower and raise the topic's limit while it is in use.
func TestLimitChanges(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		b := open(t, addresses, "", o)
		publish(t, b, o.Topic, keyed("key", 1, 100_000)...)
		set := func(limit string) {
			t.Helper()
			err := admin(t, addresses).IncrementalAlterConfig(sarama.TopicResource, o.Topic,
				map[string]sarama.IncrementalAlterConfigsEntry{
					"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &limit},
				}, false)
			if err != nil {
				t.Fatal(err)
			}
		}
		set("50000")
		eventually(t, "the lower limit", func() bool {
			return errors.Is(b.Publisher().Publish(o.Topic, keyed("key", 1, 100_000)...), domain.ErrTooLarge)
		})
		eventually(t, "small messages", func() bool {
			return b.Publisher().Publish(o.Topic, keyed("key", 100, 1000)...) == nil
		})
	})
}

// eventually tries until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// TestManyMakeTheTopic has many instances start at once.
func TestManyMakeTheTopic(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		o.Partitions = 3
		var instances sync.WaitGroup
		for range 8 {
			b := open(t, addresses, "", o)
			subscribe(t, b, "group-"+o.Topic, o.Topic)
			instances.Go(func() {
				if err := b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...); err != nil {
					t.Error(err)
				}
			})
		}
		instances.Wait()
		if partitions, _ := describe(t, addresses, o.Topic); partitions != 3 {
			t.Errorf("the topic has %d partitions", partitions)
		}
	})
}

// TestTopicIsMadeAgain deletes the topic while it is in use.
func TestTopicIsMadeAgain(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	o := options()
	b := open(t, cluster.ListenAddrs(), "", o)
	publish(t, b, o.Topic, keyed("key", 1, 1)...)
	if err := cluster.DeleteTopic(o.Topic); err != nil {
		t.Fatal(err)
	}
	publish(t, b, o.Topic, keyed("key", 1, 1)...)
}

// TestBounds counts what is in each partition, also after a retention.
func TestBounds(t *testing.T) {
	t.Parallel()
	cluster := fake(t, kfakeBrokers(3)...)
	o := options()
	o.Partitions = 5
	b := open(t, cluster.ListenAddrs(), "", o)
	counts := map[int32]int64{}
	for key := range 20 {
		for _, msg := range keyed(strconv.Itoa(key), 5, 1) {
			publish(t, b, o.Topic, msg)
			counts[origin(t, msg).Partition]++
		}
	}
	if err := cluster.DeleteRecords(o.Topic, 2, 3); err != nil {
		t.Fatal(err)
	}
	bounds, err := b.(broker.Bounder).Bounds(t.Context(), o.Topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(5) {
		want := application.Bounds{Next: counts[p]}
		if p == 2 {
			want.First = 3
		}
		if bounds[p] != want {
			t.Errorf("partition %d: %+v, want %+v", p, bounds[p], want)
		}
	}
}

// TestLostLimit has the answer lost to how large records may be: that is no reason to refuse one as too large.
func TestLostLimit(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	o := options()
	o.MaxMessageBytes = 4 << 20
	publish(t, open(t, cluster.ListenAddrs(), "", o), o.Topic, keyed("key", 1, 1)...)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.RequestTimedOut, Count: 2})
	publish(t, open(t, cluster.ListenAddrs(), "", o), o.Topic, keyed("key", 1, 3<<20)...)
}
