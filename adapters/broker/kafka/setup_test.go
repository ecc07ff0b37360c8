package kafka_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafka"
	"github.com/netstreamflow/netstreamflow/application"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// fake starts a Kafka in this process.
func fake(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func local(port int) []string { return []string{fmt.Sprintf("127.0.0.1:%d", port)} }

// options are those of a broker with a topic of its own.
func options() broker.Options {
	topic := "test-" + watermill.NewShortUUID()
	return broker.Options{
		Topic: topic, DeadLetterTopic: topic + ".dlq", Partitions: 1, PublishTimeout: 10 * time.Second,
		MaxMessageBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}
}

// open opens a broker, which is closed when the test ends.
func open(t testing.TB, addresses []string, query string, o broker.Options) broker.Broker {
	t.Helper()
	b, err := kafka.Open(t.Context(), &url.URL{Scheme: "kafka", Host: strings.Join(addresses, ","), RawQuery: query}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// subscribe subscribes to the topic; the subscriber is closed when the test ends.
func subscribe(t testing.TB, b broker.Broker, group, topic string) (<-chan *message.Message, message.Subscriber) {
	t.Helper()
	s, err := b.Subscriber(group)
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

// next returns the next message.
func next(t testing.TB, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, open := <-messages:
		if !open {
			t.Fatal("the channel is closed")
		}
		return msg
	case <-time.After(patience):
		t.Fatalf("no message after %v", patience)
	}
	return nil
}

// acked takes n messages, acks each and returns their ids.
func acked(t testing.TB, messages <-chan *message.Message, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		msg := next(t, messages)
		ids[i] = msg.UUID
		msg.Ack()
	}
	return ids
}

func wantIDs(t testing.TB, got []string, want []*message.Message) {
	t.Helper()
	ids := make([]string, len(want))
	for i, m := range want {
		ids[i] = m.UUID
	}
	if !slices.Equal(got, ids) {
		t.Fatalf("got %q, want %q", got, ids)
	}
}

// keyed makes n messages with the key.
func keyed(key string, n, size int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = message.NewMessage(watermill.NewUUID(), make([]byte, size))
		msgs[i].Metadata.Set(broker.KeyMetadata, key)
	}
	return msgs
}

func publish(t testing.TB, b broker.Broker, topic string, msgs ...*message.Message) {
	t.Helper()
	if err := b.Publisher().Publish(topic, msgs...); err != nil {
		t.Fatal(err)
	}
}

// origin returns the message's origin.
func origin(t testing.TB, msg *message.Message) application.Origin {
	t.Helper()
	o, ok := application.OriginFrom(msg.Context())
	if !ok {
		t.Fatal("the message has no origin")
	}
	return o
}

// foreign makes a producer of records that are not ours; it sends to the partition that each record names.
func foreign(t testing.TB, addresses []string, change func(*sarama.Config)) sarama.SyncProducer {
	t.Helper()
	c := sarama.NewConfig()
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	if change != nil {
		change(c)
	}
	p, err := sarama.NewSyncProducer(addresses, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// admin makes an administrator.
func admin(t testing.TB, addresses []string) sarama.ClusterAdmin {
	t.Helper()
	a, err := sarama.NewClusterAdmin(addresses, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// ours ignores the goroutines of Sarama's metrics, which never end, and those of an in-process server.
func ours() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*group).manage"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).run"),
	}
}
