package brokertest

import (
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

var persistence = map[string]func(*suite){
	"EachSubscriptionReplays": eachSubscriptionReplays,
	"ReplayGoesOn":            replayGoesOn,
	"OutlivesTheBroker":       outlivesTheBroker,
	"ReplayOfManyPartitions":  replayOfManyPartitions,
}

// eachSubscriptionReplays subscribes without a group several times, before and after opening the broker again.
func eachSubscriptionReplays(s *suite) {
	b := s.open()
	msgs := s.messages(20)
	s.publish(b, msgs...)
	for range 2 {
		for range 2 {
			sub := s.subscribe(b, "")
			s.same("replay", sub.ack(len(msgs)), msgs)
			sub.close()
			sub.closed()
		}
		s.shut(b)
		b = s.open()
	}
}

// replayGoesOn checks that a replay goes on with what is published during it, and that another is not disturbed.
func replayGoesOn(s *suite) {
	b := s.open()
	msgs := s.messages(30)
	s.publish(b, msgs[:10]...)
	first, second := s.subscribe(b, ""), s.subscribe(b, "")
	s.same("first subscription", first.ack(10), msgs[:10])
	s.publish(b, msgs[10:20]...)
	s.same("second subscription", second.ack(20), msgs[:20])
	first.close()
	s.publish(b, msgs[20:]...)
	s.same("second subscription alone", second.ack(10), msgs[20:])
}

// outlivesTheBroker checks that offsets go on rising after the broker was opened again.
func outlivesTheBroker(s *suite) {
	b := s.open()
	msgs := s.messages(6)
	s.publish(b, msgs[:3]...)
	s.shut(b)
	b = s.open()
	s.publish(b, msgs[3:]...)
	received := s.subscribe(b, "").ack(6)
	s.same("both", received, msgs)
	for i, msg := range received[1:] {
		if before, now := s.origin(received[i]).Offset, s.origin(msg).Offset; now <= before {
			s.Errorf("offset %d follows %d", now, before)
		}
	}
}

// replayOfManyPartitions checks that a replay holds every record of all partitions once.
func replayOfManyPartitions(s *suite) {
	const n = 1000
	b := s.open()
	missing := map[string]bool{}
	for range n / 100 {
		var msgs []*message.Message
		for range 100 {
			msg := s.message("", "x")
			msg.Metadata.Set(broker.KeyMetadata, strings.ToUpper(msg.UUID))
			msgs = append(msgs, msg)
			missing[msg.UUID] = true
		}
		s.publish(b, msgs...)
	}
	for _, msg := range s.subscribe(b, "").ack(n) {
		if !missing[msg.UUID] {
			s.Errorf("%s came twice", msg.UUID)
		}
		delete(missing, msg.UUID)
	}
}
