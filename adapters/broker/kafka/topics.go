package kafka

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Sizes of records. A topic's limit is for a whole batch, so that it must leave room for the key, the headers and the
// batch around the largest value; a dead letter also has all headers of the record, and the reason.
const (
	defaultLimit       = 1048588 // Kafka's
	recordHeadroom     = 64 << 10
	deadLetterHeadroom = 256 << 10
	limitConfig        = "max.message.bytes"
)

// limitAge is how long it is taken for granted that nobody has raised a limit.
const limitAge = time.Second

// maxRequestBytes is what Sarama sends at most, and a Kafka server takes by default.
const maxRequestBytes = 100 << 20

// topics makes topics and knows how large their records may be. Its calls wait for the server, and may be made from many
// goroutines.
type topics struct {
	settings settings

	mu     sync.Mutex
	limits map[string]int
	// read is when they were.
	read map[string]time.Time
}

func newTopics(s settings) *topics {
	return &topics{settings: s, limits: map[string]int{}, read: map[string]time.Time{}}
}

// ensure makes the topic where it is missing, and returns how many bytes a batch of its records may have.
func (t *topics) ensure(client sarama.Client, topic string) (limit int, err error) {
	t.mu.Lock()
	limit, known := t.limits[topic]
	t.mu.Unlock()
	if known {
		return limit, nil
	}
	err = client.RefreshMetadata(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = t.create(client, topic)
	}
	if err != nil {
		return 0, fmt.Errorf("topic %s: %w", topic, err)
	}
	if limit, err = t.limit(client, topic); err != nil {
		return 0, fmt.Errorf("topic %s: read its limit: %w", topic, err)
	}
	t.mu.Lock()
	t.limits[topic], t.read[topic] = limit, time.Now()
	t.mu.Unlock()
	return limit, nil
}

// raised says whether the topic's limit is above the one given, which was read earlier.
func (t *topics) raised(client sarama.Client, topic string, limit int) bool {
	if now, due := t.due(topic); now > limit || !due {
		return now > limit
	}
	now, err := readLimit(client, topic)
	if err != nil || now <= limit {
		return false
	}
	t.forget(topic)
	return true
}

// due returns the limit that is known, and whether the caller is to read it again.
func (t *topics) due(topic string) (limit int, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if due = time.Since(t.read[topic]) >= limitAge; due {
		t.read[topic] = time.Now()
	}
	return t.limits[topic], due
}

// forget has the topic looked up again when it is next used.
func (t *topics) forget(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.limits, topic)
}

func (t *topics) create(client sarama.Client, topic string) error {
	limit, err := t.newLimit(client, topic)
	if err != nil {
		return err
	}
	o := t.settings.options
	value := strconv.Itoa(limit)
	detail := &sarama.TopicDetail{
		NumPartitions:     int32(o.Partitions),        //nolint:gosec // the setting is bounded
		ReplicationFactor: int16(o.ReplicationFactor), //nolint:gosec // the setting is bounded
		ConfigEntries:     map[string]*string{limitConfig: &value},
	}
	if o.ReplicationFactor == 0 {
		detail.ReplicationFactor = -1
	}
	if o.Partitions == 0 {
		detail.NumPartitions = -1
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	err = admin.CreateTopic(topic, detail, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("create it: %w", err)
	}
	t.settings.logger.Info("topic created", "topic", topic, "partitions", o.Partitions, "limit", limit)
	return awaitLeaders(client, topic)
}

// awaitLeaders waits until all servers should know the new topic.
func awaitLeaders(client sarama.Client, topic string) error {
	err := client.RefreshMetadata(topic)
	for n := 1; err != nil && n < 10; n++ {
		time.Sleep(pause(n)) // the servers tell each other of it, and tell nobody when they have
		err = client.RefreshMetadata(topic)
	}
	return err
}

// newLimit is the limit of a topic that is to be made: a dead letter may be larger than any record of the main topic.
func (t *topics) newLimit(client sarama.Client, topic string) (int, error) {
	o := t.settings.options
	limit := max(defaultLimit, o.MaxMessageBytes+recordHeadroom)
	if topic != o.DeadLetterTopic || topic == o.Topic {
		return limit, nil
	}
	records, err := t.ensure(client, o.Topic)
	if err != nil {
		return 0, err
	}
	return min(max(limit, records)+deadLetterHeadroom, maxRequestBytes-deadLetterHeadroom), nil
}

// limit reads how large a batch of the topic may be, and assumes the default where the server does not tell.
func (t *topics) limit(client sarama.Client, topic string) (int, error) {
	limit, err := readLimit(client, topic)
	if isAny(err, errNoLimit, sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed, sarama.ErrUnsupportedVersion, sarama.ErrInvalidRequest) {
		t.settings.logger.Warn("the topic's limit cannot be read: the default is assumed",
			"topic", topic, "limit", defaultLimit, "error", err)
		return defaultLimit, nil
	}
	return limit, err
}

var errNoLimit = errors.New(limitConfig + " is not there")

// readLimit returns the topic's limit, or what Sarama sends at most if that is less.
func readLimit(client sarama.Client, topic string) (int, error) {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return 0, err
	}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{
		{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{limitConfig}},
	}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return 0, err
	}
	for _, r := range results {
		if r.ErrorCode != 0 {
			return 0, r.ErrorCode
		}
		for _, entry := range r.Configs {
			if entry.Name == limitConfig {
				limit, err := strconv.Atoi(entry.Value)
				return min(limit, maxRequestBytes-deadLetterHeadroom), err
			}
		}
	}
	return 0, errNoLimit
}
