//go:build cgo

package confluent

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

const partitions = 3

func TestContractOnFake(t *testing.T) {
	c := fake(t)
	testContract(t, strings.Join(c.ListenAddrs(), ","))
}

func TestContractOnKafka(t *testing.T) {
	testContract(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"))
}

func testContract(t *testing.T, servers string) {
	brokertest.Run(t, func(t *testing.T, o broker.Options) broker.Broker {
		return openTest(t, "confluent://"+servers, o)
	}, brokertest.Features{
		Persistent: true, Groups: true, Shared: true, Partitions: partitions, Window: 1000, Limited: true,
		Produce: func(t *testing.T, topic string, key, value []byte, headers map[string]string) {
			produceForeign(t, servers, topic, key, value, headers)
		},
	})
}

// fake starts a Kafka in this process.
func fake(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	options = append([]kfake.Opt{kfake.NumBrokers(2), kfake.GroupMinSessionTimeout(time.Second)}, options...)
	c, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func openTest(t testing.TB, rawURL string, o broker.Options) *Broker {
	t.Helper()
	return openWith(t, rawURL, o, nil)
}

func openWith(t testing.TB, rawURL string, o broker.Options, own kafka.ConfigMap) *Broker {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t.Context(), u, o, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// produceForeign writes a record with just what is given.
func produceForeign(t testing.TB, servers, topic string, key, value []byte, headers map[string]string) {
	t.Helper()
	p, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": servers})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	record := &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Key: key, Value: value,
	}
	for name, v := range headers {
		record.Headers = append(record.Headers, kafka.Header{Key: name, Value: []byte(v)})
	}
	reports := make(chan kafka.Event, 1)
	if err := p.Produce(record, reports); err != nil {
		t.Fatal(err)
	}
	if report, ok := (<-reports).(*kafka.Message); !ok || report.TopicPartition.Error != nil {
		t.Fatalf("produce: %v", report)
	}
}
