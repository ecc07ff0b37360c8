package brokertest

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// trimming tests brokers that are a [broker.Trimmer] and a [broker.Bounder].
var trimming = map[string]func(*suite){
	"TrimByTime":            trimByTime,
	"TrimByBytes":           trimByBytes,
	"TrimSparesTheUntaken":  trimSparesTheUntaken,
	"TrimAll":               trimAll,
	"TrimAheadOfAGroup":     trimAheadOfAGroup,
	"TrimUnderSubscription": trimUnderSubscription,
}

// trim trims the main topic and checks how many records are removed.
func (s *suite) trim(b broker.Broker, before time.Time, bytes int64, taken map[int32]int64, want int64) {
	s.Helper()
	trimmer, ok := b.(broker.Trimmer)
	if !ok {
		s.Skip("the broker's log sees to its own retention")
	}
	removed, err := trimmer.Trim(s.bounded(), s.options.Topic, before, bytes, taken)
	if err != nil || removed != want {
		s.Errorf("trim: %d records removed, error %v, want %d", removed, err, want)
	}
}

// span returns the bounds of the partition that the message is in.
func (s *suite) span(b broker.Broker, msg *message.Message) application.Bounds {
	s.Helper()
	bounder, ok := b.(broker.Bounder)
	if !ok {
		s.Skip("the broker does not tell the bounds of its partitions")
	}
	bounds, err := bounder.Bounds(s.bounded(), s.options.Topic)
	if err != nil {
		s.Fatalf("bounds: %v", err)
	}
	return bounds[s.origin(msg).Partition]
}

// trimByTime removes what is older than the sixth record, and checks that the rest outlives the broker.
func trimByTime(s *suite) {
	b := s.open()
	msgs := s.messages(10)
	s.publish(b, msgs[:5]...)
	<-time.After(5 * time.Millisecond) // so that the next ones have another time
	s.publish(b, msgs[5:]...)
	all, at := s.at(msgs[9], 1), s.origin(msgs[5]).Time
	s.trim(b, time.Time{}, 0, all, 0)
	s.trim(b, at, 0, all, 5)
	s.trim(b, at, 0, all, 0)
	for range 2 {
		if got, want := s.span(b, msgs[9]), (application.Bounds{First: s.origin(msgs[5]).Offset, Next: s.origin(msgs[9]).Offset + 1}); got != want {
			s.Errorf("bounds %v, want %v", got, want)
		}
		sub := s.subscribe(b, "")
		s.same("the rest", sub.ack(5), msgs[5:])
		sub.close()
		s.shut(b)
		b = s.open()
	}
}

// trimByBytes keeps the last three records.
func trimByBytes(s *suite) {
	b := s.open()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	size := int64(len(msgs[9].Payload) + len(msgs[9].Metadata.Get(broker.KeyMetadata)))
	all := s.at(msgs[9], 1)
	s.trim(b, time.Time{}, 10*size, all, 0)
	s.trim(b, time.Time{}, 4*size-1, all, 7)
	s.trim(b, time.Time{}, 3*size, all, 0)
	s.same("the rest", s.subscribe(b, "").ack(3), msgs[7:])
	s.trim(b, time.Time{}, size, all, 2)
}

// trimSparesTheUntaken checks that nothing is removed that has not been taken.
func trimSparesTheUntaken(s *suite) {
	b := s.open()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	later := time.Now().Add(time.Hour)
	s.trim(b, later, 1, nil, 0)
	s.trim(b, later, 1, map[int32]int64{s.origin(msgs[0]).Partition + 1000: 1000}, 0)
	s.trim(b, later, 1, s.at(msgs[4], 0), 4)
	s.same("the rest", s.subscribe(b, "").ack(6), msgs[4:])
}

// trimAll empties the log: the offsets go on all the same, also when it is opened again.
func trimAll(s *suite) {
	b := s.open()
	msgs := s.messages(6)
	s.publish(b, msgs[:5]...)
	s.trim(b, time.Now().Add(time.Hour), 0, s.at(msgs[4], 1000), 5)
	for range 2 {
		if got, next := s.span(b, msgs[4]), s.origin(msgs[4]).Offset+1; got.First != next || got.Next != next {
			s.Errorf("bounds %v of an empty log, want %d", got, next)
		}
		s.shut(b)
		b = s.open()
	}
	s.publish(b, msgs[5:]...)
	if before, now := s.origin(msgs[4]).Offset, s.origin(msgs[5]).Offset; now <= before {
		s.Errorf("offset %d follows %d", now, before)
	}
	s.same("a new one", s.subscribe(b, "").ack(1), msgs[5:])
}

// trimAheadOfAGroup removes what a group has not had yet: it goes on with what is left.
func trimAheadOfAGroup(s *suite) {
	if !s.Groups {
		s.Skip("the broker has no groups")
	}
	b, group := s.open(), s.group()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	sub.ack(2)
	sub.close()
	s.trim(b, time.Now().Add(time.Hour), 0, s.at(msgs[6], 0), 6)
	s.same("the rest", s.subscribe(b, group).ack(4), msgs[6:])
}

// trimUnderSubscription removes records while a receiver that is ahead of its acks stands before them.
func trimUnderSubscription(s *suite) {
	b := s.open()
	msgs := s.messages(20)
	s.publish(b, msgs[:10]...)
	sub := s.subscribe(b, "")
	s.same("before", sub.ack(10), msgs[:10])
	s.trim(b, time.Now().Add(time.Hour), 0, s.at(msgs[9], 1), 10)
	s.publish(b, msgs[10:]...)
	s.same("after", sub.ack(10), msgs[10:])
}
