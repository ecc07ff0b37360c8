//go:build cgo

package confluent

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// recordOverhead is what a waiting record takes beside its key and value, roughly.
const recordOverhead = 512

// lane carries the records of one partition from the poll loop, which must never wait, to the receiver, which may take as
// long as it likes.
type lane struct {
	partition kafka.TopicPartition
	delivery  *broker.Delivery
	// ctx is that of the messages; fed ends when nothing more is delivered.
	ctx  context.Context //nolint:containedctx // the lane is what the context is the life of
	end  context.CancelFunc
	halt context.CancelFunc
	fed  chan struct{}
	// lost says that another member may have the partition, so that its place is no longer ours to keep.
	lost atomic.Bool

	// limit is from how many waiting bytes on the partition is paused; paused belongs to the poll loop.
	limit   int64
	bytes   atomic.Int64
	paused  bool
	arrived chan struct{}
	mu      sync.Mutex
	waiting []*kafka.Message
}

// newLane starts a lane to out; keep is called with the place behind the records acked without a gap.
func newLane(
	ctx context.Context, partition kafka.TopicPartition, limit int64, out chan<- *message.Message, window int,
	keep func(place kafka.TopicPartition),
) *lane {
	l := &lane{partition: partition, limit: limit, fed: make(chan struct{}), arrived: make(chan struct{}, 1)}
	ctx, l.end = context.WithCancel(ctx)
	feeding, halt := context.WithCancel(ctx)
	l.ctx, l.halt = ctx, halt
	l.delivery = broker.NewDelivery(ctx, out, window, func(next int64) {
		if !l.lost.Load() {
			keep(kafka.TopicPartition{Topic: partition.Topic, Partition: partition.Partition, Offset: kafka.Offset(next)})
		}
	})
	go l.feed(feeding)
	return l
}

// push adds a record and returns at once.
func (l *lane) push(record *kafka.Message) {
	l.bytes.Add(size(record))
	l.mu.Lock()
	l.waiting = append(l.waiting, record)
	l.mu.Unlock()
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

func size(record *kafka.Message) int64 {
	return int64(len(record.Key) + len(record.Value) + recordOverhead)
}

// full and drained tell when the partition is to be paused, and when it is to go on.
func (l *lane) full() bool    { return l.bytes.Load() >= l.limit }
func (l *lane) drained() bool { return l.bytes.Load() <= l.limit/2 }

// feed delivers what is pushed until ctx ends.
func (l *lane) feed(ctx context.Context) {
	defer close(l.fed)
	for {
		for _, record := range l.take() {
			if l.delivery.Deliver(ctx, l.message(record), int64(record.TopicPartition.Offset)) != nil {
				return
			}
			l.bytes.Add(-size(record))
		}
		select {
		case <-l.arrived:
		case <-ctx.Done():
			return
		}
	}
}

func (l *lane) message(record *kafka.Message) *message.Message { return decode(l.ctx, record) }

func (l *lane) take() []*kafka.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := l.waiting
	l.waiting = nil
	return records
}

// finish waits until what has been delivered is acked, or patience ends, and ends the lane. Its halt has been called.
func (l *lane) finish(patience context.Context) {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-l.fed
		l.delivery.Drain()
	}()
	select {
	case <-drained:
	case <-patience.Done():
	}
	l.end()
	<-drained
}
