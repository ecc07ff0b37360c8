//go:build cgo

package confluent

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/application"
)

// batch are the messages of one Publish call, with what has become of each.
type batch struct {
	topic string
	time  time.Time
	msgs  []*message.Message
	errs  []error
	// pending is how many reports are still to come.
	pending int
}

func newBatch(topic string, msgs []*message.Message) *batch {
	// A record's time has milliseconds.
	return &batch{topic: topic, time: time.Now().Truncate(time.Millisecond), msgs: msgs, errs: make([]error, len(msgs))}
}

func (b *batch) all() []int {
	places := make([]int, len(b.msgs))
	for i := range places {
		places[i] = i
	}
	return places
}

// failed returns the places whose errors are of a kind.
func (b *batch) failed(kind func(error) bool) (places []int) {
	for i, err := range b.errs {
		if kind(err) {
			places = append(places, i)
		}
	}
	return places
}

func (b *batch) anyFailed(kind func(error) bool) bool { return len(b.failed(kind)) > 0 }

func (b *batch) fail(places []int, err error) {
	for _, place := range places {
		b.errs[place] = err
	}
}

// record makes the record of the message at the place, which its report will name.
func (b *batch) record(place int) *kafka.Message {
	record := encode(&b.topic, b.msgs[place])
	record.Timestamp = b.time
	record.Opaque = place
	return record
}

// gather takes the reports until all are there or ctx ends.
func (b *batch) gather(ctx context.Context, reports <-chan kafka.Event) {
	for ; b.pending > 0; b.pending-- {
		select {
		case event := <-reports:
			if report, ok := event.(*kafka.Message); ok {
				b.settle(report)
			}
		case <-ctx.Done():
			b.pending = 0
			return
		}
	}
}

// settle notes what became of one record.
func (b *batch) settle(report *kafka.Message) {
	place, ok := report.Opaque.(int)
	if !ok {
		return
	}
	b.errs[place] = report.TopicPartition.Error
	if b.errs[place] == nil && report.TopicPartition.Offset < 0 {
		b.errs[place] = errUnproven
	}
	if b.errs[place] != nil {
		return
	}
	msg := b.msgs[place]
	msg.SetContext(application.WithOrigin(msg.Context(), application.Origin{
		Position: application.Position{
			Partition: report.TopicPartition.Partition,
			Offset:    int64(report.TopicPartition.Offset),
		},
		Topic: b.topic,
		Key:   keyOf(msg),
		Time:  b.time,
	}))
}

// outcome is the error of the call.
func (b *batch) outcome() error {
	failed := false
	each := make(application.PublishError, len(b.errs))
	for i, err := range b.errs {
		each[i] = outcome(err)
		failed = failed || err != nil
	}
	if failed {
		return each
	}
	return nil
}
