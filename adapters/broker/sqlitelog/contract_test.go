package sqlitelog_test

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
)

func TestContract(t *testing.T) {
	var current broker.Broker
	brokertest.Run(t, func(t *testing.T, o broker.Options) broker.Broker {
		current = open(t, o)
		return current
	}, brokertest.Features{
		Persistent: true, Groups: true, Partitions: 1, Window: 2000, Limited: true,
		// There is no other way into the log than the driver: a foreign record is one without id, key and headers.
		Produce: func(t *testing.T, topic string, key, value []byte, headers map[string]string) {
			msg := message.NewMessage("", value)
			for name, v := range headers {
				msg.Metadata.Set(name, v)
			}
			if key != nil {
				msg.Metadata.Set(broker.KeyMetadata, string(key))
			}
			if err := current.Publisher().Publish(topic, msg); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func open(t testing.TB, o broker.Options) *sqlitelog.Broker {
	t.Helper()
	b, err := sqlitelog.Open(context.Background(), &url.URL{Scheme: "sqlite-log"}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.(*sqlitelog.Broker)
}

func options(t testing.TB) broker.Options {
	return broker.Options{
		Topic: "topic", DeadLetterTopic: "topic.dlq", Partitions: 6, PublishTimeout: 10 * time.Second,
		MaxMessageBytes: 64 << 10, DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
	}
}
