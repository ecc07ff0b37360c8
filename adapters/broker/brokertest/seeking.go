package brokertest

import (
	"context"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// seeking tests brokers that are a [broker.Seeker] or a [broker.Placer].
var seeking = map[string]func(*suite){
	"OffsetsAt":              offsetsAt,
	"OffsetsOfAnEmptyTopic":  offsetsOfAnEmptyTopic,
	"Places":                 places,
	"PlacesOutliveTheBroker": placesOutliveTheBroker,
}

// bounded returns a context that ends with the suite's patience.
func (s *suite) bounded() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
	s.Cleanup(cancel)
	return ctx
}

// offsets asks for the offsets of all partitions at the time.
func (s *suite) offsets(b broker.Broker, at time.Time) map[int32]int64 {
	s.Helper()
	seeker, ok := b.(broker.Seeker)
	if !ok {
		s.Skip("the broker does not find records by time")
	}
	found, err := seeker.OffsetsAt(s.bounded(), s.options.Topic, at)
	if err != nil || len(found) != s.options.Partitions {
		s.Fatalf("offsets at %v: %v, error %v, want %d partitions", at, found, err, s.options.Partitions)
	}
	return found
}

// offsetsAt publishes records of different times and looks for each.
func offsetsAt(s *suite) {
	b := s.open()
	msgs := s.messages(4)
	for _, msg := range msgs {
		s.publish(b, msg)
		<-time.After(5 * time.Millisecond) // so that the next one has another time
	}
	partition := s.origin(msgs[0]).Partition
	check := func(what string, at time.Time, want int64) {
		s.Helper()
		if got := s.offsets(b, at)[partition]; got != want {
			s.Errorf("%s: offset %d, want %d", what, got, want)
		}
	}
	first, last := s.origin(msgs[0]), s.origin(msgs[3])
	check("long ago", first.Time.Add(-time.Hour), first.Offset)
	for _, msg := range msgs {
		o := s.origin(msg)
		check("the time of a record", o.Time, o.Offset)
		check("just before a record", o.Time.Add(-time.Millisecond), o.Offset)
		check("just behind a record", o.Time.Add(time.Millisecond), o.Offset+1)
	}
	check("to come", last.Time.Add(time.Hour), last.Offset+1)
}

func offsetsOfAnEmptyTopic(s *suite) {
	b := s.open()
	sub := s.subscribe(b, "") // it makes the topic
	defer sub.close()
	for partition, offset := range s.offsets(b, time.Now()) {
		if offset != 0 {
			s.Errorf("partition %d of a new topic: offset %d", partition, offset)
		}
	}
}

// places asks for the group's places.
func (s *suite) places(b broker.Broker, group string) map[int32]int64 {
	s.Helper()
	placer, ok := b.(broker.Placer)
	if !ok {
		s.Skip("the broker does not tell a group's place")
	}
	found, err := placer.Places(s.bounded(), s.options.Topic, group)
	if err != nil {
		s.Fatalf("places of %s: %v", group, err)
	}
	return found
}

// places checks that a group's place is behind what it has acked without a gap, and nowhere else.
func places(s *suite) {
	if !s.Groups {
		s.Skip("the broker has no groups")
	}
	b, group := s.open(), s.group()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	if got := s.places(b, group); len(got) != 0 {
		s.Errorf("a group that has not begun has the places %v", got)
	}
	sub := s.subscribe(b, group)
	sub.ack(4)
	sub.take(min(3, s.Window))
	sub.close()
	o := s.origin(msgs[3])
	if got := s.places(b, group); len(got) != 1 || got[o.Partition] != o.Offset+1 {
		s.Errorf("places %v, want only %d: %d", got, o.Partition, o.Offset+1)
	}
	if got := s.places(b, s.group()); len(got) != 0 {
		s.Errorf("another group has the places %v", got)
	}
}

func placesOutliveTheBroker(s *suite) {
	if !s.Groups {
		s.Skip("the broker has no groups")
	}
	b, group := s.open(), s.group()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	sub.ack(5)
	sub.close()
	s.shut(b)
	o := s.origin(msgs[4])
	if got := s.places(s.open(), group); len(got) != 1 || got[o.Partition] != o.Offset+1 {
		s.Errorf("places %v, want only %d: %d", got, o.Partition, o.Offset+1)
	}
}
