package kafka_test

import (
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafkatest"
)

func openURL(t *testing.T, servers, parameters string, o broker.Options) broker.Broker {
	t.Helper()
	return open(t, strings.Split(servers, ","), parameters, o)
}

func TestManyEventsGoTogether(t *testing.T) {
	kafkatest.ManyEventsGoTogether(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"), options(), openURL)
}

func TestPasswordChanges(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) { kafkatest.PasswordChanges(t, mechanism, options(), openURL) })
	}
}

func TestLargeLetter(t *testing.T) {
	both(t, func(t *testing.T, addresses []string) {
		kafkatest.LargeLetter(t, strings.Join(addresses, ","), options(), openURL)
	})
}

func TestLimitIsRaised(t *testing.T) {
	both(t, func(t *testing.T, addresses []string) {
		kafkatest.LimitIsRaised(t, strings.Join(addresses, ","), options(), openURL)
	})
}

func TestHeadersSurvive(t *testing.T) {
	both(t, func(t *testing.T, addresses []string) {
		kafkatest.HeadersSurvive(t, strings.Join(addresses, ","), options(), openURL)
	})
}
