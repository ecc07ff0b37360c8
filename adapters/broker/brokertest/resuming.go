package brokertest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// resuming tests brokers that are a [broker.Resumer]. All messages of a test have one key, and so one partition.
var resuming = map[string]func(*suite){
	"ReplayBeginsAtStart":      replayBeginsAtStart,
	"ReplayBeginsAtTheEnd":     replayBeginsAtTheEnd,
	"StartNamesNothing":        startNamesNothing,
	"StartIsNotInTheLog":       startIsNotInTheLog,
	"StartIsAskedAgain":        startIsAskedAgain,
	"StartIsAskedEachTime":     startIsAskedEachTime,
	"GroupBeginsAtTheEarlier":  groupBeginsAtTheEarlier,
	"NewGroupBeginsAtTheFirst": newGroupBeginsAtTheFirst,
}

// starting returns a start that gives the place, and counts how often it was asked.
func (s *suite) starting(places map[int32]int64) (start broker.Start, asked *atomic.Int64) {
	asked = &atomic.Int64{}
	return func(_ context.Context, topic string) (map[int32]int64, error) {
		if topic != s.options.Topic {
			s.Errorf("start is asked for the topic %q, want %q", topic, s.options.Topic)
		}
		asked.Add(1)
		return places, nil
	}, asked
}

// at returns the place of the message, moved on by some offsets, as a start gives it.
func (s *suite) at(msg *message.Message, on int64) map[int32]int64 {
	s.Helper()
	o := s.origin(msg)
	return map[int32]int64{o.Partition: o.Offset + on}
}

// resume subscribes to the main topic from the start; the test is skipped where the broker cannot do so.
func (s *suite) resume(b broker.Broker, group string, start broker.Start) *subscription {
	s.Helper()
	resumer, ok := b.(broker.Resumer)
	if !ok {
		s.Skip("the broker's subscribers cannot be told where to begin")
	}
	subscriber, err := resumer.SubscriberFrom(group, start)
	return s.subscribeWith(subscriber, err)
}

// replayBeginsAtStart subscribes without a group from the sixth record, and checks that it goes on with new ones.
func replayBeginsAtStart(s *suite) {
	b := s.open()
	msgs := s.messages(15)
	s.publish(b, msgs[:10]...)
	start, _ := s.starting(s.at(msgs[5], 0))
	sub := s.resume(b, "", start)
	s.same("from the start's place", sub.ack(5), msgs[5:10])
	s.publish(b, msgs[10:]...)
	s.same("new ones", sub.ack(5), msgs[10:])
}

// replayBeginsAtTheEnd has a start that has seen all: there is nothing before the next record.
func replayBeginsAtTheEnd(s *suite) {
	b := s.open()
	msgs := s.messages(10)
	s.publish(b, msgs[:9]...)
	start, _ := s.starting(s.at(msgs[8], 1))
	sub := s.resume(b, "", start)
	s.publish(b, msgs[9:]...)
	s.same("from the end", sub.ack(1), msgs[9:])
}

// startNamesNothing checks that a partition which the start does not name begins at its first record.
func startNamesNothing(s *suite) {
	b := s.open()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	start, _ := s.starting(nil)
	s.same("from the first record", s.resume(b, "", start).ack(5), msgs)
}

// startIsNotInTheLog has a start from a log that was longer: all of this one is new to the receiver.
func startIsNotInTheLog(s *suite) {
	b := s.open()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	start, _ := s.starting(s.at(msgs[4], 1000))
	s.same("beyond the end", s.resume(b, "", start).ack(5), msgs)
}

// startIsAskedAgain has a start that fails at first.
func startIsAskedAgain(s *suite) {
	b := s.open()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	place := s.at(msgs[2], 0)
	var asked atomic.Int64
	sub := s.resume(b, "", func(context.Context, string) (map[int32]int64, error) {
		if asked.Add(1) <= 2 {
			return nil, errors.New("away")
		}
		return place, nil
	})
	s.same("after failures", sub.ack(3), msgs[2:])
	if asked.Load() < 3 {
		s.Errorf("start was asked %d times", asked.Load())
	}
}

// startIsAskedEachTime checks that no answer of the start is kept for the next subscription.
func startIsAskedEachTime(s *suite) {
	b := s.open()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	for place := range 3 {
		start, asked := s.starting(s.at(msgs[place], 0))
		sub := s.resume(b, "", start)
		s.same("replay", sub.ack(5-place), msgs[place:])
		sub.close()
		if asked.Load() == 0 {
			s.Error("start was not asked")
		}
	}
}

// groupBeginsAtTheEarlier checks that a member begins at the earlier of the group's place and the start's.
func groupBeginsAtTheEarlier(s *suite) {
	if !s.Groups {
		s.Skip("the broker has no groups")
	}
	b, group := s.open(), s.group()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	s.same("the group at first", sub.ack(6), msgs[:6])
	sub.close()
	for _, test := range []struct {
		what        string
		start, want int
	}{
		{"start later than the group", 8, 6},
		{"start earlier than the group", 2, 2},
	} {
		start, _ := s.starting(s.at(msgs[test.start], 0))
		sub := s.resume(b, group, start)
		s.same(test.what, sub.take(min(10-test.want, max(1, s.Window)))[:1], msgs[test.want:test.want+1])
		sub.close()
	}
}

// newGroupBeginsAtTheFirst checks that a group without a place begins with the first record, wherever its receiver stands.
func newGroupBeginsAtTheFirst(s *suite) {
	if !s.Groups {
		s.Skip("the broker has no groups")
	}
	b := s.open()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	start, _ := s.starting(s.at(msgs[3], 0))
	s.same("a new group", s.resume(b, s.group(), start).ack(5), msgs)
}
