package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Replayable is a broker whose log can be read from any place to where it ends.
type Replayable interface {
	Broker
	Bounder
	Resumer
}

const (
	// maxReads is how many readings of a [Records] run at once: each is a subscription of its own.
	maxReads = 4
	// firstSilence is how long a reading waits for its first record, nextSilence for another one. Offsets at the end of what is
	// to be read may hold nothing that is ever delivered, such as the marks of a transaction.
	firstSilence = 8 * time.Second
	nextSilence  = 2 * time.Second
	// pageBytes bounds the values of one page of records.
	pageBytes = 8 << 20
)

// errSilent says that nothing more came although the log should have more.
var errSilent = fmt.Errorf("%w: the broker delivers nothing more", domain.ErrUnavailable)

// Records reads a log at any place. It is safe for concurrent use.
type Records struct {
	log   Replayable
	turns chan struct{}

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// NewRecords returns a reader; its Close must be called before the broker's.
func NewRecords(log Replayable) *Records {
	return &Records{log: log, turns: make(chan struct{}, maxReads)}
}

// Close waits for the readings under way, whose contexts must end by themselves.
func (r *Records) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

// enter counts a reading that Close must wait for.
func (r *Records) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	r.running.Add(1)
	return nil
}

// Page reads records of one partition.
func (r *Records) Page(ctx context.Context, q application.RecordQuery) (application.RecordPage, error) {
	page := application.RecordPage{Topic: q.Topic, Partition: q.Partition}
	bounds, err := r.log.Bounds(ctx, q.Topic)
	if err != nil {
		return page, err
	}
	b, known := bounds[q.Partition]
	if !known {
		return page, fmt.Errorf("%w: %s has no partition %d", domain.ErrNotFound, q.Topic, q.Partition)
	}
	page.Bounds = b
	page.Next = q.Offset
	if q.Offset < 0 {
		page.Next += b.Next
	}
	page.Next = max(page.Next, b.First)
	size := 0
	err = r.scan(ctx, q.Topic, bounds, map[int32]application.Bounds{q.Partition: {First: page.Next, Next: b.Next}}, func(msg *message.Message) bool {
		record := recordOf(msg)
		page.Records = append(page.Records, record)
		page.Next = record.Offset + 1
		size += len(record.Value)
		return len(page.Records) < q.Limit && size < pageBytes
	})
	if errors.Is(err, errSilent) {
		err = nil // what is left holds no records
	}
	return page, err
}

// Scan calls visit with the records of each partition of ranges, in order, from its First up to the one before its Next, as far
// as the log has them, until visit returns false. An error is a [domain.ErrUnavailable].
func (r *Records) Scan(ctx context.Context, topic string, ranges map[int32]application.Bounds, visit func(*message.Message) (more bool)) error {
	bounds, err := r.log.Bounds(ctx, topic)
	if err != nil {
		return err
	}
	return r.scan(ctx, topic, bounds, ranges, visit)
}

func (r *Records) scan(
	ctx context.Context, topic string, bounds, ranges map[int32]application.Bounds, visit func(*message.Message) bool,
) error {
	left := clip(ranges, bounds)
	if len(left) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages, ended, err := r.open(ctx, topic, startOf(left, bounds))
	if err != nil {
		return err
	}
	silence := time.NewTimer(firstSilence)
	defer silence.Stop()
	for {
		select {
		case msg := <-messages:
			asked, done := take(left, msg, visit)
			if done || len(left) == 0 {
				return nil
			}
			if asked {
				silence.Reset(nextSilence)
			}
		case err := <-ended:
			return err
		case <-silence.C:
			return errSilent
		case <-ctx.Done():
			return fmt.Errorf("%w: read %s: %w", domain.ErrUnavailable, topic, ctx.Err())
		}
	}
}

// clip returns what the log has of the ranges.
func clip(ranges, bounds map[int32]application.Bounds) map[int32]application.Bounds {
	left := maps.Clone(ranges)
	for p, want := range left {
		b := bounds[p]
		want.First, want.Next = max(want.First, b.First), min(want.Next, b.Next)
		if left[p] = want; want.First >= want.Next {
			delete(left, p)
		}
	}
	return left
}

// startOf begins the partitions of left where they must, and the others at their end.
func startOf(left, bounds map[int32]application.Bounds) Start {
	places := make(map[int32]int64, len(bounds))
	for p, b := range bounds {
		places[p] = b.Next
	}
	for p, want := range left {
		places[p] = want.First
	}
	return func(context.Context, string) (map[int32]int64, error) { return maps.Clone(places), nil }
}

// take has the message visited if it is asked for, which those of a partition that is left are, and tells whether it was the last
// one to be visited.
func take(left map[int32]application.Bounds, msg *message.Message, visit func(*message.Message) bool) (asked, done bool) {
	o, _ := application.OriginFrom(msg.Context())
	want, asked := left[o.Partition]
	if !asked || o.Offset < want.First {
		return false, false
	}
	want.First = o.Offset + 1
	if left[o.Partition] = want; want.First >= want.Next {
		delete(left, o.Partition)
	}
	return true, o.Offset < want.Next && !visit(msg)
}

// open subscribes on behalf of a reading, which takes from messages until its ctx ends. Nobody waits for the broker longer than
// that: a subscription that takes long to begin or to end does so by itself.
func (r *Records) open(ctx context.Context, topic string, start Start) (messages <-chan *message.Message, ended <-chan error, err error) {
	if err := r.enter(); err != nil {
		return nil, nil, err
	}
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		r.running.Done()
		return nil, nil, fmt.Errorf("%w: too many readings of the log are under way", domain.ErrUnavailable)
	}
	out, end := make(chan *message.Message), make(chan error, 1)
	go func() {
		defer r.running.Done()
		defer func() { <-r.turns }()
		end <- r.forward(ctx, topic, start, out)
	}()
	return out, end, nil
}

// forward hands over what the subscription delivers until ctx ends.
func (r *Records) forward(ctx context.Context, topic string, start Start, out chan<- *message.Message) error {
	subscriber, err := r.log.SubscriberFrom("", start)
	if err != nil {
		return err
	}
	defer func() { _ = subscriber.Close() }() // nothing is kept by it
	messages, err := subscriber.Subscribe(ctx, topic)
	if err != nil {
		return err
	}
	for msg := range messages {
		// The message's context ends with its ack, and with it what tells its place does not.
		msg.Ack()
		select {
		case out <- msg:
		case <-ctx.Done():
			return nil
		}
	}
	return fmt.Errorf("%w: the subscription has ended", domain.ErrUnavailable)
}

// recordOf is the record of a delivered message.
func recordOf(msg *message.Message) application.LogRecord {
	o, _ := application.OriginFrom(msg.Context())
	record := application.LogRecord{Origin: o, MessageID: msg.UUID, Value: msg.Payload, Headers: msg.Metadata}
	if _, there := msg.Metadata[RepeatedMetadata]; there {
		record.Repeated = Repeated(msg.Metadata)
		record.Headers = maps.Clone(record.Headers) // the message may be read by others
		delete(record.Headers, RepeatedMetadata)
	}
	return record
}
