//go:build cgo

package confluent

import (
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafkatest"
)

func openURL(t *testing.T, servers, parameters string, o broker.Options) broker.Broker {
	t.Helper()
	return openTest(t, "confluent://"+servers+"?"+parameters, o)
}

func TestManyEventsGoTogether(t *testing.T) {
	kafkatest.ManyEventsGoTogether(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"), benchOptions(), openURL)
}

func TestPasswordChanges(t *testing.T) {
	kafkatest.PasswordChanges(t, "SCRAM-SHA-512", benchOptions(), openURL)
}

func TestLargeLetter(t *testing.T) {
	t.Run("fake", func(t *testing.T) { kafkatest.LargeLetter(t, addresses(fake(t)), benchOptions(), openURL) })
	t.Run("real", func(t *testing.T) {
		kafkatest.LargeLetter(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"), benchOptions(), openURL)
	})
}

func TestLimitIsRaised(t *testing.T) {
	kafkatest.LimitIsRaised(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"), benchOptions(), openURL)
}

func TestHeadersSurvive(t *testing.T) {
	t.Run("fake", func(t *testing.T) { kafkatest.HeadersSurvive(t, addresses(fake(t)), benchOptions(), openURL) })
	t.Run("real", func(t *testing.T) {
		kafkatest.HeadersSurvive(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"), benchOptions(), openURL)
	})
}
