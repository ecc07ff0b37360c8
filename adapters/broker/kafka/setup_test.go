package kafka_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafka"
)

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

// server returns the addresses in the environment variable, of a real server.
func server(t testing.TB, variable string) string {
	t.Helper()
	address := os.Getenv(variable)
	if address == "" {
		if os.Getenv("NETSTREAMFLOW_TEST_REQUIRE") == "1" {
			t.Fatalf("%s is not set", variable)
		}
		t.Skipf("%s is not set", variable)
	}
	return address
}

// opener opens brokers on the servers.
func opener(addresses []string, query string) func(t *testing.T, o broker.Options) broker.Broker {
	return func(t *testing.T, o broker.Options) broker.Broker {
		t.Helper()
		return open(t, addresses, query, o)
	}
}

func open(t testing.TB, addresses []string, query string, o broker.Options) broker.Broker {
	t.Helper()
	b, err := kafka.Open(t.Context(), &url.URL{Scheme: "kafka", Host: strings.Join(addresses, ","), RawQuery: query}, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ours ignores the goroutines of an in-process server, and those of Sarama's metrics, which never end.
func ours() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*group).manage"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).run"),
	}
}
