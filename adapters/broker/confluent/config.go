//go:build cgo

package confluent

import (
	"strconv"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// headRoom is what a record may have beside its value: key, headers and framing.
	headRoom = 64 << 10
	// leastRecordBytes keeps a topic from being made with a smaller limit than Kafka's own, to which batches are sized.
	leastRecordBytes = 1 << 20
	// sessionTimeout is after how long without a heartbeat a member has left its group.
	sessionTimeout = 10 * time.Second
	// networkTimeout is how long a server may take for a request that has no limit of its own.
	networkTimeout = 10 * time.Second
)

// recordLimit is the size of the largest record that is sent.
func recordLimit(o broker.Options) int { return max(o.MaxMessageBytes+headRoom, leastRecordBytes) }

// common returns the settings that producer and consumer share.
func common(k broker.KafkaURL, logs chan kafka.LogEvent) (kafka.ConfigMap, error) {
	if k.ServerName != "" {
		return nil, domain.Invalid("", "has tls-server-name, which librdkafka cannot follow: leave it out, or use kafka://")
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
		m["sasl.password"] = k.Password
	}
	m["security.protocol"] = protocol
}

func setUnlessEmpty(m kafka.ConfigMap, name, value string) {
	if value != "" {
		m[name] = value
	}
}

// with returns a copy of the settings with some more.
func with(m, more kafka.ConfigMap) *kafka.ConfigMap {
	all := make(kafka.ConfigMap, len(m)+len(more))
	for _, each := range []kafka.ConfigMap{m, more} {
		for name, value := range each {
			all[name] = value
		}
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
		"message.max.bytes":  recordLimit(o),
		"linger.ms":          linger,
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
		"heartbeat.interval.ms":         millis(sessionTimeout / 5),
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

func text(n int) string { return strconv.Itoa(n) }
