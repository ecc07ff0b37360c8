//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

// batches counts the record batches that are read; each was in one produce request.
type batches struct{ n atomic.Int64 }

// OnFetchBatchRead implements [kgo.HookFetchBatchRead].
func (b *batches) OnFetchBatchRead(kgo.BrokerMetadata, string, int32, kgo.FetchBatchMetrics) {
	b.n.Add(1)
}

// TestManyEventsGoTogether publishes a thousand events in one call, as a POST of a batch does: they must not go one after
// another, each with its own request.
func TestManyEventsGoTogether(t *testing.T) {
	const events, atMost = 1000, 100
	servers := brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")
	o := benchOptions()
	b := openTest(t, "confluent://"+servers, o)
	log := broker.NewLog(b, o)
	defer log.Close()
	all := make([]domain.Event, events)
	for i := range all {
		var err error
		all[i], err = domain.Draft{UserID: fmt.Sprint("user ", i), EventType: "test"}.Event(time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	var read batches
	reader, err := kgo.NewClient(kgo.SeedBrokers(servers), kgo.ConsumeTopics(o.Topic), kgo.WithHooks(&read))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := 0; n < events; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetches.NumRecords()
	}
	if got := read.n.Load(); got < int64(o.Partitions) || got > atMost {
		t.Errorf("%d events are in %d batches, want %d to %d", events, got, o.Partitions, atMost)
	}
	t.Logf("%d events in %d batches", events, read.n.Load())
}
