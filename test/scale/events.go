package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	typeCount = 20
	// eventStep is the time between two events.
	eventStep = 10 * time.Millisecond
	// publishBatch is how many events one publication has, of which publishers run at a time.
	publishBatch = 2000
	publishers   = 4
)

// begin is the time of the first event.
var begin = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// users is how many users n events have, so that each has more than a page.
func users(n int) int { return max(50, n/1000) }

func userOf(i, n int) string { return fmt.Sprintf("user-%06d", i*7919%users(n)) }
func typeOf(i int) string    { return fmt.Sprintf("page_%02d", i*31%typeCount) }

// event returns the i-th event of n, of about 200 bytes.
func event(i, n int) (domain.Event, error) {
	return domain.Draft{
		UserID: userOf(i, n), EventType: typeOf(i), Timestamp: begin.Add(time.Duration(i) * eventStep),
		Metadata: fmt.Appendf(nil, `{"page":"/products/%06d","ms":%d,"ref":"/search"}`, i%1_000_000, i%1000),
	}.Event(time.Now())
}

// ends are the last records of each partition, with the ids of their events.
type ends map[int32]end

type end struct {
	offset int64
	id     string
}

func (e ends) add(msgs []*message.Message) {
	for _, msg := range msgs {
		o, ok := application.OriginFrom(msg.Context())
		if last, known := e[o.Partition]; ok && (!known || o.Offset > last.offset) {
			e[o.Partition] = end{o.Offset, msg.UUID}
		}
	}
}

// publish publishes n events to the topic and returns where its partitions end.
func publish(ctx context.Context, brokerURL, dataDir, topic string, n int) (ends, error) {
	u, err := url.Parse(brokerURL)
	if err != nil {
		return nil, err
	}
	open := netstreamflow.BuiltIn().Brokers[kind(brokerURL)]
	b, err := open(ctx, u, broker.Options{
		Topic: topic, DeadLetterTopic: topic + ".dlq", Partitions: 6, PublishTimeout: time.Minute, MaxMessageBytes: 1 << 20,
		DataDir: dataDir, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	defer b.Close()             //nolint:errcheck // everything was acknowledged
	defer b.Publisher().Close() //nolint:errcheck // everything was acknowledged
	parts := make([]ends, publishers)
	errs := make([]error, publishers)
	var running sync.WaitGroup
	for p := range publishers {
		parts[p] = ends{}
		running.Go(func() { errs[p] = publishPart(ctx, b.Publisher(), topic, p, n, parts[p]) })
	}
	running.Wait()
	all := ends{}
	for _, part := range parts {
		for partition, e := range part {
			if e.offset >= all[partition].offset {
				all[partition] = e
			}
		}
	}
	return all, errors.Join(errs...)
}

// publishPart publishes the batches of one publisher.
func publishPart(ctx context.Context, p message.Publisher, topic string, part, n int, last ends) error {
	for from := part * publishBatch; from < n && ctx.Err() == nil; from += publishers * publishBatch {
		msgs := make([]*message.Message, 0, publishBatch)
		for i := from; i < min(from+publishBatch, n); i++ {
			e, err := event(i, n)
			if err != nil {
				return err
			}
			msg := message.NewMessage(e.ID().String(), e.JSON())
			msg.Metadata = message.Metadata{broker.KeyMetadata: e.UserID(), broker.ContentType: "application/json"}
			msgs = append(msgs, msg)
		}
		if err := p.Publish(topic, msgs...); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		last.add(msgs)
	}
	return ctx.Err()
}
