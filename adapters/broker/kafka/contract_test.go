package kafka_test

import (
	"testing"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

func TestContractFake(t *testing.T) { testContract(t, fake(t).ListenAddrs(), "", 2000) }

func TestContract(t *testing.T) {
	testContract(t, []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")}, "", 2000)
}

// TestContractOfWatermillSubscriber has the subscriber that waits for each ack.
func TestContractOfWatermillSubscriber(t *testing.T) {
	both(t, func(t *testing.T, addresses []string) { testContract(t, addresses, "subscriber=watermill", 1) })
}

func testContract(t *testing.T, addresses []string, query string, window int) {
	brokertest.Run(t, func(t *testing.T, o broker.Options) broker.Broker {
		return open(t, addresses, query, o)
	}, brokertest.Features{
		Persistent: true, Groups: true, Shared: true, Partitions: 4, Window: window, Limited: true,
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
