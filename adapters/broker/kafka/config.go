package kafka

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// settings are what a broker was opened with.
type settings struct {
	broker.KafkaURL

	options broker.Options
	tls     *tls.Config
	logger  *slog.Logger
}

// How long things may take. A member that is gone loses its partitions after the session time-out; one that leaves or joins
// makes the others notice within a heartbeat.
const (
	dialTimeout      = 3 * time.Second
	requestTimeout   = 5 * time.Second
	sessionTimeout   = 10 * time.Second
	heartbeat        = time.Second
	rebalanceTimeout = 20 * time.Second
	// joinTimeout is longer than the others of the group may take to join it.
	joinTimeout    = rebalanceTimeout + requestTimeout
	commitInterval = time.Second
	// fetchWait is how long a server with nothing to tell holds a request, and with it the release of a partition.
	fetchWait = 100 * time.Millisecond
	// refresh is how soon an added partition is noticed.
	refresh = 10 * time.Second
	// producerRefresh is longer, as the producer asks for all topics.
	producerRefresh = 5 * time.Minute
	// partitionQueue is how many records may wait for one partition: more than one publication of the log has.
	partitionQueue = 1024
	// gatherTime is how long the records of publications with several of them wait for more.
	gatherTime = 500 * time.Microsecond
	// firstRetry and longestRetry are the pauses between attempts to reach a server.
	firstRetry   = 100 * time.Millisecond
	longestRetry = time.Second
)

// base is what all clients have in common.
func (s settings) base() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = s.ClientID
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = dialTimeout, requestTimeout, requestTimeout
	c.Metadata.Full = false
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.RefreshFrequency = refresh
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 2, firstRetry
	c.Net.TLS.Enable, c.Net.TLS.Config = s.tls != nil, s.tls
	if s.SASL != "" {
		s.authenticate(c)
	}
	return c
}

// authenticate has each connection log in with the password as it is then. With PLAIN, for which Sarama has no way to ask,
// it is that of when the client is made.
func (s settings) authenticate(c *sarama.Config) {
	c.Net.SASL.Enable = true
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.SASL)
	c.Net.SASL.User, c.Net.SASL.Password = s.Username, s.Password()
	switch s.SASL {
	case sarama.SASLTypeSCRAMSHA256:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: sha256.New, password: s.Password} }
	case sarama.SASLTypeSCRAMSHA512:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: sha512.New, password: s.Password} }
	}
}

// admin is for what is asked now and then: topics, bounds, and whether the servers are there.
func (s settings) admin() *sarama.Config {
	c := s.base()
	c.Admin.Timeout = requestTimeout
	c.Admin.Retry.Max = 3
	return c
}

// producer is for records of up to limit bytes, key and headers included. Its retries last about as long as the publish
// time-out, so that a server may restart meanwhile.
func (s settings) producer(limit int) *sarama.Config {
	c := s.base()
	timeout := s.options.PublishTimeout
	ack := min(max(timeout/3, 500*time.Millisecond), requestTimeout).Truncate(time.Millisecond)
	c.Net.DialTimeout = min(dialTimeout, ack)
	c.Net.ReadTimeout, c.Net.WriteTimeout = ack+time.Second, ack+time.Second
	c.Net.MaxOpenRequests = 1
	// Only with all topics the client looks for a server that answers before it asks for a producer id.
	c.Metadata.Full = true
	c.Metadata.RefreshFrequency = producerRefresh
	c.Metadata.Retry.Max = 1
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Timeout = ack
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	c.Producer.MaxMessageBytes = limit
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	// One partition without leader must not hold up the others, which it does when its queue is full.
	c.ChannelBufferSize = partitionQueue
	c.Producer.Retry.Backoff = firstRetry
	c.Producer.Retry.Max = retries(timeout)
	c.Producer.Transaction.Retry.Max, c.Producer.Transaction.Retry.Backoff = 2, firstRetry
	return c
}

// pause is the longest one before the n-th retry, from 1.
func pause(n int) time.Duration {
	return min(firstRetry<<min(max(n-1, 0), 10), longestRetry)
}

// jittered is the pause before the n-th retry: many that have failed together do not come together again.
func jittered(n int) time.Duration {
	return pause(n)/2 + rand.N(pause(n)/2) //nolint:gosec // nothing secret
}

// retries is how many of them fill the time.
func retries(timeout time.Duration) int {
	n := 1
	for total := pause(1); total < timeout; total += pause(n) {
		n++
	}
	return n
}

// consumer is for reading partitions.
func (s settings) consumer() *sarama.Config {
	c := s.base()
	c.Consumer.Return.Errors = true
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Retry.Backoff = longestRetry
	c.Consumer.MaxWaitTime = fetchWait
	return c
}

// member is for a member of a group.
func (s settings) member() *sarama.Config {
	c := s.consumer()
	c.Net.ReadTimeout = joinTimeout
	c.Consumer.Offsets.AutoCommit.Interval = commitInterval
	c.Consumer.Group.Session.Timeout = sessionTimeout
	c.Consumer.Group.Heartbeat.Interval = heartbeat
	c.Consumer.Group.Rebalance.Timeout = rebalanceTimeout
	c.Consumer.Group.Rebalance.Retry.Backoff = longestRetry
	// Range is what confluent:// also knows, so that both can be in one group.
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	return c
}
