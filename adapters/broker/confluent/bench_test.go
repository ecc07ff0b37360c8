//go:build cgo

package confluent

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

func benchOptions() broker.Options {
	return broker.Options{
		Topic: "bench-" + watermill.NewShortUUID(), Partitions: 6,
		PublishTimeout: 10 * time.Second, MaxMessageBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}
}

// BenchmarkPublish publishes single events through the real log, as requests do.
func BenchmarkPublish(b *testing.B) {
	servers := brokertest.FromEnvironment(b, "NSF_TEST_KAFKA")
	for _, linger := range []string{"0", "1", "5"} {
		for _, inFlight := range []int{1, 5} {
			for _, callers := range []int{1, 32, 256} {
				b.Run(fmt.Sprintf("linger=%s/in-flight=%d/callers=%d", linger, inFlight, callers), func(b *testing.B) {
					benchmarkPublish(b, servers, kafka.ConfigMap{"linger.ms": linger, "max.in.flight": inFlight}, callers)
				})
			}
		}
	}
}

func benchmarkPublish(b *testing.B, servers string, own kafka.ConfigMap, callers int) {
	o := benchOptions()
	opened := openWith(b, "confluent://"+servers, o, own)
	log := broker.NewLog(opened, o)
	defer log.Close()
	if _, err := log.Publish(b.Context(), []domain.Event{benchEvent(b, 0)}); err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for c := range callers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := log.Publish(b.Context(), []domain.Event{benchEvent(b, c)}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func benchEvent(tb testing.TB, user int) domain.Event {
	draft := domain.Draft{
		UserID: fmt.Sprintf("user-%d", user), EventType: "page_view",
		Metadata: []byte(`{"page":"/products/42","referrer":"https://example.com/search?q=shoes","n":12,"tags":["a","b","c"]}`),
	}
	e, err := draft.Event(time.Now())
	if err != nil {
		tb.Error(err)
	}
	return e
}

// BenchmarkConsume reads a backlog, acking in batches as the consumer does.
func BenchmarkConsume(b *testing.B) {
	servers := brokertest.FromEnvironment(b, "NSF_TEST_KAFKA")
	const backlog = 300_000
	o := benchOptions()
	opened := openTest(b, "confluent://"+servers, o)
	for n := 0; n < backlog; n += 1000 {
		msgs := make([]*message.Message, 1000)
		for i := range msgs {
			e := benchEvent(b, n+i)
			msgs[i] = message.NewMessage(e.ID().String(), e.JSON())
			msgs[i].Metadata = message.Metadata{broker.KeyMetadata: e.UserID(), broker.ContentType: "application/json"}
		}
		if err := opened.Publisher().Publish(o.Topic, msgs...); err != nil {
			b.Fatal(err)
		}
	}
	for _, group := range []string{"bench", ""} {
		for _, pause := range []time.Duration{0, 10 * time.Millisecond} {
			b.Run(fmt.Sprintf("group=%s/pause=%v", group, pause), func(b *testing.B) {
				for range b.N {
					consume(b, opened, group, o.Topic, backlog, pause)
				}
				b.ReportMetric(float64(backlog)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// consume takes n records, and pauses after each thousand as for a transaction.
func consume(b *testing.B, opened *Broker, group, topic string, n int, pause time.Duration) {
	if group != "" {
		group += watermill.NewShortUUID()
	}
	sub, err := opened.Subscriber(group)
	if err != nil {
		b.Fatal(err)
	}
	msgs, err := sub.Subscribe(b.Context(), topic)
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]*message.Message, 0, 1000)
	for range n {
		if batch = append(batch, <-msgs); len(batch) == cap(batch) {
			time.Sleep(pause)
			for _, msg := range batch {
				msg.Ack()
			}
			batch = batch[:0]
		}
	}
	for _, msg := range batch {
		msg.Ack()
	}
	if err := sub.Close(); err != nil {
		b.Fatal(err)
	}
}
