//go:build cgo

package confluent

import (
	"maps"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// linger is how many milliseconds librdkafka waits for more records: those of one call come together anyway.
	linger = 0
	// sessionTimeout is after how long without a heartbeat a member has left its group.
	sessionTimeout = 10 * time.Second
	// networkTimeout is how long a server may take for a request that has no limit of its own.
	networkTimeout = 10 * time.Second
)

// Sizes of records. A topic's limit is for a whole batch, so that it must leave room for key, headers and framing; a dead
// letter also has all headers of the record, and the reason.
const (
	defaultLimit       = 1048588 // Kafka's own, which librdkafka's batches fit in
	recordHeadroom     = 64 << 10
	deadLetterHeadroom = 256 << 10
	// largestRequest is what a server takes by default.
	largestRequest = 100 << 20
)

// common returns the settings that producer and consumer share.
func common(k broker.KafkaURL, logs chan kafka.LogEvent) (kafka.ConfigMap, error) {
	if k.ServerName != "" {
		return nil, domain.Invalid("", "has tls-server-name, which librdkafka cannot follow: leave it out, or use kafka://")
	}
	if k.Subscriber != "" {
		return nil, domain.Invalid("", "has subscriber, which this driver has no choice of: leave it out, or use kafka://")
	}
	if _, err := k.TLSConfig(); err != nil {
		return nil, err // says more of a bad file than librdkafka does
	}
	m := kafka.ConfigMap{
		"bootstrap.servers":        strings.Join(k.Brokers, ","),
		"client.id":                k.ClientID,
		"socket.timeout.ms":        millis(networkTimeout),
		"socket.keepalive.enable":  true,
		"reconnect.backoff.max.ms": 1000, // a server that is back is used at once
		"log.connection.close":     false,
		"enable.metrics.push":      false, // nobody was asked whether the cluster may have the client's metrics
		"go.logs.channel.enable":   true,
		"go.logs.channel":          logs,
	}
	secure(m, k)
	return m, nil
}

func secure(m kafka.ConfigMap, k broker.KafkaURL) {
	protocol := "PLAINTEXT"
	if k.TLS {
		protocol = "SSL"
		setUnlessEmpty(m, "ssl.ca.location", k.CAFile)
		setUnlessEmpty(m, "ssl.certificate.location", k.CertFile)
		setUnlessEmpty(m, "ssl.key.location", k.KeyFile)
	}
	if k.SASL != "" {
		protocol = "SASL_" + protocol
		m["sasl.mechanism"] = k.SASL
		m["sasl.username"] = k.Username
		// The password is that of credentials.
	}
	m["security.protocol"] = protocol
}

func setUnlessEmpty(m kafka.ConfigMap, name, value string) {
	if value != "" {
		m[name] = value
	}
}

// with returns all the settings together; later ones win.
func with(settings ...kafka.ConfigMap) *kafka.ConfigMap {
	all := kafka.ConfigMap{}
	for _, m := range settings {
		maps.Copy(all, m)
	}
	return &all
}

// producing are the settings of the producer.
func producing(o broker.Options) kafka.ConfigMap {
	return kafka.ConfigMap{
		"enable.idempotence": true,
		"acks":               "all",
		"partitioner":        "murmur2_random",
		"message.timeout.ms": millis(o.PublishTimeout),
		"request.timeout.ms": millis(o.PublishTimeout),
		// With more requests under way the first one to a partition may fail while the next one succeeds, as the server does
		// not know the producer yet. librdkafka then takes the first one's records for delivered, and they are lost.
		"max.in.flight": 1,
		// What is too large for a topic is the server's to say.
		"message.max.bytes": largestRequest - deadLetterHeadroom,
		"linger.ms":         linger,
		// Delivery reports need neither key nor value. The channels' default sizes take 24 MB for nothing.
		"go.delivery.report.fields": "none",
		"go.events.channel.size":    64,
		"go.produce.channel.size":   0,
	}
}

// consuming are the settings of every consumer.
func consuming() kafka.ConfigMap {
	return kafka.ConfigMap{
		"auto.offset.reset":             "earliest",
		"isolation.level":               "read_committed",
		"session.timeout.ms":            millis(sessionTimeout),
		"heartbeat.interval.ms":         1000, // so often a member hears of a rebalance
		"partition.assignment.strategy": "range",
		"enable.auto.offset.store":      false,
		// A new topic is found soon, also where the server asked first did not know it yet.
		"topic.metadata.refresh.interval.ms": millis(10 * time.Second),
		// A pause throws away what was fetched in advance, and a resumed partition waits for the fetch under way.
		"queued.min.messages":        fetchAhead,
		"queued.max.messages.kbytes": 16 << 10,
		"fetch.queue.backoff.ms":     2,
		"fetch.wait.max.ms":          100,
	}
}

func millis(d time.Duration) int { return int(d / time.Millisecond) }
