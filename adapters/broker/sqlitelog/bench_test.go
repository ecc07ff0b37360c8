package sqlitelog_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// event makes a message of about 200 bytes, as the service publishes them.
func event(n int64) *message.Message {
	msg := message.NewMessage(watermill.NewUUID(), []byte(`{"userId":"`+strings.Repeat("x", 180)+`"}`))
	msg.Metadata = message.Metadata{broker.KeyMetadata: fmt.Sprint("user ", n%1000), broker.ContentType: "application/json"}
	return msg
}

// BenchmarkPublish publishes messages one by one, from several callers.
func BenchmarkPublish(b *testing.B) {
	for _, lazy := range []bool{false, true} {
		for _, callers := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("lazy=%t/%d", lazy, callers), func(b *testing.B) {
				o := options(b)
				o.LazySync = lazy
				publisher := open(b, o).Publisher()
				var n atomic.Int64
				b.ResetTimer()
				var running sync.WaitGroup
				for range callers {
					running.Go(func() {
						for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
							if err := publisher.Publish("topic", event(i)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				running.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkPublishBatches publishes batches of 1000 messages from one caller.
func BenchmarkPublishBatches(b *testing.B) {
	publisher := open(b, options(b)).Publisher()
	msgs := make([]*message.Message, 1000)
	for i := range msgs {
		msgs[i] = event(int64(i))
	}
	for b.Loop() {
		for _, msg := range msgs {
			msg.SetContext(b.Context()) // else each publication adds its origin to the last one's
		}
		if err := publisher.Publish("topic", msgs...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkConsume takes a backlog and acks it in batches, as a member and as a replay.
func BenchmarkConsume(b *testing.B) {
	const backlog = 100_000
	k := open(b, options(b))
	msgs := make([]*message.Message, 1000)
	for i := range msgs {
		msgs[i] = event(int64(i))
	}
	for range backlog / len(msgs) {
		if err := k.Publisher().Publish("topic", msgs...); err != nil {
			b.Fatal(err)
		}
	}
	for name, inGroup := range map[string]bool{"group": true, "replay": false} {
		b.Run(name, func(b *testing.B) {
			for n := range b.N {
				group := ""
				if inGroup {
					group = fmt.Sprint("group ", b.N, n)
				}
				subscriber, _ := k.Subscriber(group)
				messages, err := subscriber.Subscribe(b.Context(), "topic")
				if err != nil {
					b.Fatal(err)
				}
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
