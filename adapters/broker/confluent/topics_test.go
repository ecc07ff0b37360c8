//go:build cgo

package confluent

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/domain"
)

// TestTopics checks that topics are made once, with what they need, and left alone when they are there.
func TestTopics(t *testing.T) {
	c := fake(t, kfake.SeedTopics(2, "there"))
	o := benchOptions()
	o.DeadLetterTopic, o.MaxMessageBytes = o.Topic+".dlq", 3<<20
	var running sync.WaitGroup
	opened := openTest(t, "confluent://"+addresses(c), o)
	for range 5 {
		creator := openTest(t, "confluent://"+addresses(c), o)
		for range 2 {
			running.Go(func() {
				if err := creator.Publisher().Publish(o.Topic, keyed(1)...); err != nil {
					t.Error(err)
				}
			})
		}
	}
	running.Wait()
	main, err := opened.admin.limit(t.Context(), o.Topic)
	dead, deadErr := opened.admin.limit(t.Context(), o.DeadLetterTopic)
	if err != nil || deadErr != nil || main <= o.MaxMessageBytes || dead <= main {
		t.Errorf("limits of %d and %d bytes, errors %v and %v", main, dead, err, deadErr)
	}
	if bounds, err := opened.Bounds(t.Context(), "there"); err != nil || len(bounds) != 2 {
		t.Errorf("bounds %v, error %v: want the 2 partitions that were there", bounds, err)
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "not/a/topic", Err: kerr.InvalidTopicException, Count: -1})
	if err := opened.Publisher().Publish("not/a/topic", keyed(1)...); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a name that no topic may have: got the error %v", err)
	}
}

// TestDeletedTopic deletes the topic under a publisher, and under who asks for its ends: it is made again.
func TestDeletedTopic(t *testing.T) {
	o := benchOptions()
	o.PublishTimeout = time.Second
	b := openTest(t, "confluent://"+addresses(fake(t)), o)
	publish(t, b, o.Topic, 10, 1)
	for what, use := range map[string]func() error{
		"a publication": func() error { return b.Publisher().Publish(o.Topic, keyed(10)...) },
		"a question":    func() error { _, err := b.Bounds(t.Context(), o.Topic); return err },
	} {
		err := b.admin.ask(t.Context(), func(c *kafka.AdminClient, _ kafka.AdminOptionRequestTimeout) error {
			_, err := c.DeleteTopics(t.Context(), []string{o.Topic})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(patience)
		for err = use(); err != nil; err = use() {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
}
