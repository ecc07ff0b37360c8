package kafka_test

import (
	"testing"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

func TestContractFake(t *testing.T) { testContract(t, fake(t).ListenAddrs()) }

func TestContract(t *testing.T) {
	testContract(t, []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")})
}

func testContract(t *testing.T, addresses []string) {
	brokertest.Run(t, func(t *testing.T, o broker.Options) broker.Broker {
		return open(t, addresses, "", o)
	}, brokertest.Features{
		Persistent: true, Groups: true, Shared: true, Partitions: 4, Window: 2000, Limited: true,
		Goroutines: ours(),
		Produce: func(t *testing.T, topic string, key, value []byte, headers map[string]string) {
			record := &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(value)}
			if key != nil {
				record.Key = sarama.ByteEncoder(key)
			}
			for name, v := range headers {
				record.Headers = append(record.Headers, sarama.RecordHeader{Key: []byte(name), Value: []byte(v)})
			}
			if _, _, err := foreign(t, addresses, nil).SendMessage(record); err != nil {
				t.Fatal(err)
			}
		},
	})
}
