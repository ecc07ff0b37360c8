//go:build cgo

package confluent

import (
	"errors"
	"sync"
	"testing"

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
