package kafka

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// recordVersion is that of Kafka's record format since 0.11.
const recordVersion = 2

// batch are the records of one Publish call, with what has become of each. It has nothing of the messages that their
// publisher may change once the call has given up.
type batch struct {
	topic   string
	records []*sarama.ProducerMessage
	// largest is the size of the largest of them.
	largest int
	// sent are the copies that the last producer got.
	sent []sarama.ProducerMessage
	errs []error
	done chan struct{}
	// producer is the one that was used last; reason says why the batch is sent again.
	producer atomic.Pointer[producer]
	reason   atomic.Pointer[error]
}

func newBatch(topic string, msgs []*message.Message) *batch {
	b := &batch{
		topic: topic, records: make([]*sarama.ProducerMessage, len(msgs)),
		errs: make([]error, len(msgs)), done: make(chan struct{}),
	}
	for i, msg := range msgs {
		b.records[i], _ = marshaler{}.Marshal(topic, msg) // it has no error
		b.records[i].Metadata = i
		b.largest = max(b.largest, b.records[i].ByteSize(recordVersion))
	}
	return b
}

// kind is that of the producer to send the batch with.
func (b *batch) kind() kind { return kind{topic: b.topic, gathers: len(b.records) > 1} }

// send sends those records that fit, all at once, and notes what becomes of each. The producer gets copies: Sarama may still read
// a record whose error it has returned.
func (b *batch) send(p *producer) {
	b.sent = make([]sarama.ProducerMessage, len(b.records))
	fitting := make([]*sarama.ProducerMessage, 0, len(b.records))
	for i, r := range b.records {
		if b.errs[i] = b.check(r, p.limit); b.errs[i] != nil {
			continue
		}
		b.sent[i] = *r
		fitting = append(fitting, &b.sent[i])
	}
	if len(fitting) == 0 {
		return
	}
	err := p.SendMessages(fitting)
	var failed sarama.ProducerErrors
	if err != nil && !errors.As(err, &failed) {
		b.fail(err)
		return
	}
	for _, f := range failed {
		if place, ok := f.Msg.Metadata.(int); ok {
			b.errs[place] = f.Err
		}
	}
}

// check says whether the record is too large for the topic.
func (b *batch) check(r *sarama.ProducerMessage, limit int) error {
	if b.largest <= limit {
		return nil
	}
	if size := r.ByteSize(recordVersion); size > limit {
		return fmt.Errorf("%w: a record of %d bytes: topic %s takes %d", domain.ErrTooLarge, size, b.topic, limit)
	}
	return nil
}

// fail notes the error for all records.
func (b *batch) fail(err error) {
	for i := range b.errs {
		b.errs[i] = err
	}
}

// find returns an error of the kind, if there is one.
func (b *batch) find(kind func(error) bool) error {
	for _, err := range b.errs {
		if err != nil && kind(err) {
			return err
		}
	}
	return nil
}

// unsent tells whether none of the records that fit was sent.
func (b *batch) unsent() bool {
	for _, err := range b.errs {
		if !errors.Is(err, domain.ErrTooLarge) && !isUnsent(err) {
			return false
		}
	}
	return b.find(isUnsent) != nil
}

// late is the error of a call that has given up.
func (b *batch) late(err error) error {
	if reason := b.reason.Load(); reason != nil {
		err = *reason
	}
	return fmt.Errorf("%w: kafka did not acknowledge in time: %w", domain.ErrUnavailable, err)
}

// outcome puts the origins on the messages that are in the log, and returns the error of the call.
func (b *batch) outcome(msgs []*message.Message) error {
	refused := 0
	for _, err := range b.errs {
		if isTooLarge(err) {
			refused++
		}
	}
	each := make(application.PublishError, len(b.errs))
	failed := false
	for i, err := range b.errs {
		if err == nil {
			setOrigin(msgs[i], &b.sent[i])
			continue
		}
		failed = true
		each[i] = asKind(err, refused)
	}
	if failed {
		return each
	}
	return nil
}

// asKind gives the error of a record its kind. Where the server refused a whole batch as too large although the topic's limit
// was kept, that limit was wrong: it is read again, and the record may fit alone.
func asKind(err error, refused int) error {
	if errors.Is(err, domain.ErrTooLarge) {
		return err
	}
	if isTooLarge(err) && refused == 1 {
		return fmt.Errorf("%w: kafka: %w", domain.ErrTooLarge, err)
	}
	return unavailable(err)
}
