package brokertest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// origins checks that publisher and subscriber tell the same place of each record.
func origins(s *suite) {
	const n = 60
	b := s.open()
	msgs := make([]*message.Message, n)
	sent := map[string]*message.Message{}
	for i := range msgs {
		msgs[i] = s.message(fmt.Sprintf("key %d", i), "x")
		sent[msgs[i].UUID] = msgs[i]
	}
	sub := s.receive(b, s.group(), msgs...)
	received := sub.ack(n)
	sub.published()
	last := map[int32]int64{}
	for _, msg := range received {
		got, want := s.origin(msg), s.origin(sent[msg.UUID])
		s.checkOrigin(got, sent[msg.UUID])
		s.checkOrigin(want, sent[msg.UUID])
		if got.Position != want.Position {
			s.Errorf("received from %+v, published to %+v", got.Position, want.Position)
		}
		if before, seen := last[got.Partition]; seen && got.Offset <= before {
			s.Errorf("offset %d of partition %d came after %d", got.Offset, got.Partition, before)
		}
		last[got.Partition] = got.Offset
	}
	if s.Partitions > 1 && len(last) < 2 {
		s.Errorf("%d keys are all in one of %d partitions", n, s.Partitions)
	}
}

// origin returns the message's origin, which must be there.
func (s *suite) origin(msg *message.Message) application.Origin {
	s.Helper()
	o, ok := application.OriginFrom(msg.Context())
	if !ok {
		s.Fatalf("message %q has no origin", msg.UUID)
	}
	return o
}

func (s *suite) checkOrigin(o application.Origin, sent *message.Message) {
	s.Helper()
	key := sent.Metadata.Get(broker.KeyMetadata)
	if o.Topic != s.options.Topic || string(o.Key) != key {
		s.Errorf("origin has topic %q and key %q, want %q and %q", o.Topic, o.Key, s.options.Topic, key)
	}
	if age := time.Since(o.Time); age < -time.Minute || age > time.Minute {
		s.Errorf("origin's time is %v, now is %v", o.Time, time.Now())
	}
	if o.Partition < 0 || int(o.Partition) >= s.options.Partitions || o.Offset < 0 {
		s.Errorf("origin has partition %d and offset %d", o.Partition, o.Offset)
	}
}

// headersAndKey checks that id, headers and key come back as they were, and that the key is not among the headers.
func headersAndKey(s *suite) {
	metadata := message.Metadata{
		broker.ContentType: "application/json", "empty": "", "ключ": "значение ✓", "A-Header": "a", "a-header": "b",
		"long": strings.Repeat("long ", 1000), "bytes": "\x00\xff",
	}
	b := s.open()
	var msgs []*message.Message
	for _, key := range []string{"user", "", "пользователь", "a\x00b\xff", strings.Repeat("k", domain.MaxUserIDBytes)} {
		msg := s.message(key, `{"a":1}`)
		maps.Copy(msg.Metadata, metadata)
		msgs = append(msgs, msg)
	}
	sent := map[string]*message.Message{}
	for _, msg := range msgs {
		sent[msg.UUID] = msg
	}
	sub := s.receive(b, s.group(), msgs...)
	for _, got := range sub.ack(len(msgs)) {
		want := sent[got.UUID]
		if want == nil {
			s.Fatalf("message %q was not sent", got.UUID)
		}
		s.checkOrigin(s.origin(got), want)
		if !maps.Equal(got.Metadata, metadata) {
			s.Errorf("headers %q, want %q", got.Metadata, metadata)
		}
		if !bytes.Equal(got.Payload, want.Payload) {
			s.Errorf("payload %q, want %q", got.Payload, want.Payload)
		}
	}
}

// poisonIsDelivered checks that no value is too odd to be delivered: what to do with it is the consumer's business.
func poisonIsDelivered(s *suite) {
	values := []string{"", "\x00\xff\xfe", "not JSON", "{", strings.Repeat("\x00", MaxMessageBytes)}
	b := s.open()
	var msgs []*message.Message
	for _, v := range values {
		msgs = append(msgs, s.message("key", v))
	}
	sub := s.receive(b, s.group(), msgs...)
	s.same("poison", sub.ack(len(msgs)), msgs)
	sub.published()
}

// foreignRecords checks that records without id, key and headers are delivered, the empty ones included.
func foreignRecords(s *suite) {
	if s.Produce == nil {
		s.Skip("the driver's test cannot write foreign records")
	}
	b := s.open()
	sub := s.receive(b, s.group(), s.message("key", "ours"))
	sub.ack(1)
	s.Produce(s.T, s.options.Topic, nil, []byte("theirs"), nil)
	msg := sub.next()
	if o := s.origin(msg); msg.UUID != "" || string(msg.Payload) != "theirs" || len(o.Key) != 0 || len(msg.Metadata) != 0 {
		s.Errorf("got %q %q %q with key %q", msg.UUID, msg.Payload, msg.Metadata, o.Key)
	}
	msg.Ack()
	s.Produce(s.T, s.options.Topic, []byte("k"), nil, map[string]string{"h": "v"})
	msg = sub.next()
	if o := s.origin(msg); len(msg.Payload) != 0 || string(o.Key) != "k" || msg.Metadata["h"] != "v" {
		s.Errorf("got %q %q with key %q", msg.Payload, msg.Metadata, o.Key)
	}
	msg.Ack()
}

// largestValue checks that the largest value that must fit does, with a key and headers, also as a dead letter.
func largestValue(s *suite) {
	b := s.open()
	msg := s.message(strings.Repeat("k", domain.MaxUserIDBytes), strings.Repeat("v", MaxMessageBytes))
	msg.Metadata.Set(broker.ContentType, "application/json")
	sub := s.receive(b, s.group(), msg)
	s.same("the largest value", sub.ack(1), []*message.Message{msg})
	sub.published()
}

// tooLargeAmongOthers checks that a message that can never fit is told apart and does not take others with it.
func tooLargeAmongOthers(s *suite) {
	if !s.Limited {
		s.Skip("the broker takes values of any size")
	}
	b := s.open()
	sub := s.subscribe(b, s.group())
	small, huge, last := s.message("key", "small"), s.message("key", strings.Repeat("x", hugeBytes)), s.message("key", "last")
	err := b.Publisher().Publish(s.options.Topic, small, huge, last)
	var each application.PublishError
	if !errors.As(err, &each) || len(each) != 3 {
		s.Fatalf("got the error %v, want one for each message", err)
	}
	if each[0] != nil || !errors.Is(each[1], domain.ErrTooLarge) || each[2] != nil {
		s.Errorf("got the errors %v, want only the second to be too large", []error(each))
	}
	s.same("the others", sub.ack(2), []*message.Message{small, last})
	s.origin(small)
	s.origin(last)
}

// nothingToPublish checks that a publication of nothing succeeds.
func nothingToPublish(s *suite) {
	b := s.open()
	s.subscribe(b, s.group())
	s.publish(b)
}

// deadLetters checks that a dead letter of the largest record can be kept and read again.
func deadLetters(s *suite) {
	b := s.open()
	letters := broker.NewDeadLetters(b.Publisher(), s.options.DeadLetterTopic, s.options.Logger)
	letter := application.DeadLetter{
		Origin: application.Origin{
			Position: application.Position{Partition: 3, Offset: 42},
			Topic:    s.options.Topic, Key: []byte("key"), Time: time.Now(),
		},
		Value:   []byte(strings.Repeat("v", MaxMessageBytes)),
		Headers: map[string]string{"h": strings.Repeat("h", 1000)},
		Reason:  errors.New(strings.Repeat("because ", 100)), Attempts: 1, Consumer: "group",
	}
	topic := s.options.Topic
	s.options.Topic = s.options.DeadLetterTopic
	sub := s.subscribe(b, s.group())
	s.options.Topic = topic
	kept := make(chan error, 1)
	go func() { kept <- letters.Keep(s.Context(), letter) }()
	got := sub.ack(1)[0]
	s.must("keep a dead letter", func() error { return <-kept })
	if !bytes.Equal(got.Payload, letter.Value) || got.Metadata["h"] != letter.Headers["h"] ||
		got.Metadata[broker.DeadLetterOffset] != "42" || string(s.origin(got).Key) != "key" {
		s.Errorf("got the dead letter %q of %d bytes", got.Metadata, len(got.Payload))
	}
}
