package gochannel

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// What the topic of the dead letters keeps; older ones are dropped.
const (
	keptRecords = 10_000
	keptBytes   = 64 << 20
)

// kept is a topic that keeps its last records, so that they can be read again. It is safe for concurrent use.
type kept struct {
	name string

	mu      sync.Mutex
	first   int64
	records []*message.Message
	bytes   int
	changed chan struct{}
}

func newKept(name string, first int64) *kept {
	return &kept{name: name, first: first, changed: make(chan struct{})}
}

// append takes copies of the messages, and puts their origins on them.
func (k *kept) append(msgs []*message.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	for _, msg := range msgs {
		record, origin := recordOf(msg, k.name, k.first+int64(len(k.records)), now)
		k.records = append(k.records, record)
		k.bytes += sizeOf(record)
		msg.SetContext(application.WithOrigin(msg.Context(), origin))
	}
	for len(k.records) > keptRecords || k.bytes > keptBytes {
		k.bytes -= sizeOf(k.records[0])
		k.records[0] = nil
		k.records = k.records[1:]
		k.first++
	}
	close(k.changed)
	k.changed = make(chan struct{})
}

// sizeOf is what a record holds in memory, roughly.
func sizeOf(msg *message.Message) int {
	size := len(msg.Payload)
	for name, value := range msg.Metadata {
		size += len(name) + len(value)
	}
	return size
}

func (k *kept) bounds() application.Bounds {
	k.mu.Lock()
	defer k.mu.Unlock()
	return application.Bounds{First: k.first, Next: k.first + int64(len(k.records))}
}

// from returns the records from the offset on, that of the first of them, and a channel that is closed when there are more.
func (k *kept) from(offset int64) (records []*message.Message, first int64, more <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first = max(offset, k.first)
	return slices.Clone(k.records[min(first-k.first, int64(len(k.records))):]), first, k.changed
}

// read delivers the records from where start says, or from the first one, until ctx ends.
func (k *kept) read(ctx context.Context, start broker.Start, out chan<- *message.Message) {
	d := broker.NewDelivery(ctx, out, window, func(int64) {})
	defer d.Drain()
	next := k.bounds().First
	if start != nil {
		places, err := start(ctx, k.name)
		if err != nil {
			return
		}
		next = broker.Beginning(k.bounds(), broker.PlaceOf(places, 0))
	}
	for ctx.Err() == nil {
		records, first, more := k.from(next)
		for i, record := range records {
			origin, _ := application.OriginFrom(record.Context()) //nolint:contextcheck // only the origin is taken from it
			msg := record.Copy()
			msg.SetContext(application.WithOrigin(ctx, origin))
			if d.Deliver(ctx, msg, first+int64(i)) != nil {
				return
			}
		}
		next = first + int64(len(records))
		select {
		case <-more:
		case <-ctx.Done():
		}
	}
}
