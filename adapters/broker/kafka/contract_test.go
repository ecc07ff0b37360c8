package kafka_test

import (
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

func TestContractFake(t *testing.T) {
	cluster := fake(t)
	brokertest.Run(t, opener(cluster.ListenAddrs(), ""), features(cluster.ListenAddrs()))
}

func TestContract(t *testing.T) {
	addresses := []string{server(t, "NETSTREAMFLOW_TEST_KAFKA")}
	brokertest.Run(t, opener(addresses, ""), features(addresses))
}

func features(_ []string) brokertest.Features {
	return brokertest.Features{
		Persistent: true, Groups: true, Shared: true, Partitions: 4, Window: 2000, Limited: true,
		Goroutines: ours(),
	}
}
