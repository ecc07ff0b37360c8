package kafka_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

// event makes an event of about 300 bytes.
func event(b *testing.B, user int64) domain.Event {
	e, err := domain.Draft{
		UserID: fmt.Sprint("user ", user%1000), EventType: "page_view",
		Metadata: []byte(`{"page":"/products/42","referrer":"` + strings.Repeat("r", 120) + `"}`),
	}.Event(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkPublish publishes events one by one through the log, from several callers.
func BenchmarkPublish(b *testing.B) {
	address := brokertest.FromEnvironment(b, "NSF_TEST_KAFKA")
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			o := options()
			o.Partitions = 6
			k := open(b, []string{address}, "", o)
			log := broker.NewLog(k, o)
			b.Cleanup(log.Close)
			publish(b, k, o.Topic, keyed("first", 1, 1)...)
			var n atomic.Int64
			b.SetParallelism(max(1, callers/2)) // for each of two processors
			b.ResetTimer()
			if callers == 1 {
				for range b.N {
					one(b, log, n.Add(1))
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						one(b, log, n.Add(1))
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func one(b *testing.B, log *broker.Log, user int64) {
	if _, err := log.Publish(b.Context(), []domain.Event{event(b, user)}); err != nil {
		b.Error(err)
	}
}

// BenchmarkPublishBatches publishes batches of 1000 events from one caller.
func BenchmarkPublishBatches(b *testing.B) {
	address := brokertest.FromEnvironment(b, "NSF_TEST_KAFKA")
	o := options()
	o.Partitions = 6
	k := open(b, []string{address}, "", o)
	log := broker.NewLog(k, o)
	b.Cleanup(log.Close)
	publish(b, k, o.Topic, keyed("first", 1, 1)...)
	events := make([]domain.Event, 1000)
	for i := range events {
		events[i] = event(b, int64(i))
	}
	for b.Loop() {
		if _, err := log.Publish(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkConsume takes a backlog of 300,000 events and acks it in batches, as a member and as a replay.
func BenchmarkConsume(b *testing.B) {
	const backlog = 300_000
	address := brokertest.FromEnvironment(b, "NSF_TEST_KAFKA")
	o := options()
	o.Partitions = 6
	k := open(b, []string{address}, "", o)
	log := broker.NewLog(k, o)
	b.Cleanup(log.Close)
	events := make([]domain.Event, 1000)
	for i := range events {
		events[i] = event(b, int64(i))
	}
	for range backlog / len(events) {
		if _, err := log.Publish(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	for name, inGroup := range map[string]bool{"group": true, "replay": false} {
		b.Run(name, func(b *testing.B) {
			for n := range b.N {
				group := ""
				if inGroup {
					group = fmt.Sprint("group ", o.Topic, b.N, n)
				}
				messages, subscriber := subscribe(b, k, group, o.Topic)
				batch := make([]*message.Message, 0, 500)
				for range backlog {
					if batch = append(batch, <-messages); len(batch) == cap(batch) {
						for _, msg := range batch {
							msg.Ack()
						}
						batch = batch[:0]
					}
				}
				if err := subscriber.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(backlog*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
