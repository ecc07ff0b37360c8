package brokertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

var membership = map[string]func(*suite){
	"FirstStartSkipsNothing":    firstStartSkipsNothing,
	"UnackedComeAgain":          unackedComeAgain,
	"OnlyAckedPrefixIsKept":     onlyAckedPrefixIsKept,
	"NackedIsNotKept":           nackedIsNotKept,
	"GroupsDoNotDisturb":        groupsDoNotDisturb,
	"MembersShare":              membersShare,
	"HandOverOnClose":           handOverOnClose,
	"ReplayLeavesGroupsInPeace": replayLeavesGroupsInPeace,
	"KnowsItsPartitions":        knowsItsPartitions,
}

// firstStartSkipsNothing checks that a new group begins with the first record, whenever it was published.
func firstStartSkipsNothing(s *suite) {
	b := s.open()
	msgs := s.messages(10)
	s.publish(b, msgs[:5]...)
	s.shut(b)
	b = s.open()
	sub := s.subscribe(b, s.group())
	s.publish(b, msgs[5:]...)
	s.same("first start", sub.ack(10), msgs)
}

// reopened closes everything and subscribes to the same log with the group.
func (s *suite) reopened(b broker.Broker, sub *subscription, group string) *subscription {
	s.Helper()
	sub.close()
	s.shut(b)
	return s.subscribe(s.open(), group)
}

func unackedComeAgain(s *suite) {
	b, group := s.open(), s.group()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	s.same("acked", sub.ack(4), msgs[:4])
	sub.take(min(6, s.Window))
	sub = s.reopened(b, sub, group)
	s.same("after the start", sub.ack(6), msgs[4:])
}

// onlyAckedPrefixIsKept acks all but the third: the place is before it.
func onlyAckedPrefixIsKept(s *suite) {
	if s.Window < 5 {
		s.Skip("the broker waits for each ack")
	}
	b, group := s.open(), s.group()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	for i, msg := range sub.take(5) {
		if i != 2 {
			msg.Ack()
		}
	}
	sub = s.reopened(b, sub, group)
	s.same("after the start", sub.ack(3), msgs[2:])
}

func nackedIsNotKept(s *suite) {
	b, group := s.open(), s.group()
	msgs := s.messages(3)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	sub.ack(1)
	sub.next().Nack()
	sub = s.reopened(b, sub, group)
	s.same("after the start", sub.ack(2), msgs[1:])
}

// groupsDoNotDisturb checks that each group has all records.
func groupsDoNotDisturb(s *suite) {
	b := s.open()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	for range 2 {
		s.same("group", s.subscribe(b, s.group()).ack(10), msgs)
	}
}

// knowsItsPartitions checks what a member, and one that reads the whole log, tell of their partitions.
func knowsItsPartitions(s *suite) {
	b := s.open()
	s.publish(b, s.messages(1)...)
	for _, group := range []string{s.group(), ""} {
		sub := s.subscribe(b, group)
		a, ok := sub.subscriber.(broker.Assignee)
		if !ok {
			s.Skip("the broker's subscribers do not tell their partitions")
		}
		sub.ack(1)
		var all []int32
		for p := range int32(s.Partitions) {
			all = append(all, p)
		}
		if got := a.Assigned(); !slices.Equal(got, all) {
			s.Errorf("group %q: got the partitions %v, want %v", group, got, all)
		}
		sub.close()
		if got := a.Assigned(); group != "" && len(got) > 0 {
			s.Errorf("the partitions %v are the member's after its end", got)
		}
	}
}

// membersShare publishes until both members have received, and checks that together they have each record once.
func membersShare(s *suite) {
	if s.Partitions < 2 {
		s.Skip("one partition cannot be shared")
	}
	b, group := s.open(), s.group()
	members := []*subscription{s.subscribe(b, group), s.subscribe(s.another(b), group)}
	published, received := map[string]bool{}, map[string]int{}
	counts := []int{0, 0}
	deadline := time.Now().Add(s.Patience)
	for counts[0] == 0 || counts[1] == 0 {
		if time.Now().After(deadline) {
			s.Fatalf("the members received %v", counts)
		}
		s.round(b, published)
		for len(received) < len(published) {
			place, msg := s.either(members)
			counts[place]++
			received[msg.UUID]++
			msg.Ack()
		}
	}
	for id, n := range received {
		if n > 1 || !published[id] {
			s.Errorf("%s came %d times", id, n)
		}
	}
}

// another returns the broker for a second member: its own connection, where the log allows two.
func (s *suite) another(b broker.Broker) broker.Broker {
	if s.Shared {
		return s.open()
	}
	return b
}

// round publishes messages with many keys.
func (s *suite) round(b broker.Broker, published map[string]bool) {
	s.Helper()
	msgs := make([]*message.Message, 20)
	for i := range msgs {
		msgs[i] = s.message(fmt.Sprintf("key %d", i), "x")
		published[msgs[i].UUID] = true
	}
	s.publish(b, msgs...)
}

// either returns the next message of one of two members.
func (s *suite) either(members []*subscription) (place int, msg *message.Message) {
	s.Helper()
	select {
	case msg = <-members[0].messages:
	case msg = <-members[1].messages:
		place = 1
	case <-time.After(s.Patience):
		s.Fatalf("no message after %v", s.Patience)
	}
	if msg == nil {
		s.Fatal("a member's channel is closed")
	}
	return place, msg
}

// handOverOnClose checks that a member which leaves hands its partitions to the other: with what it has not acked.
func handOverOnClose(s *suite) {
	b, group := s.open(), s.group()
	msgs := s.messages(10)
	first := s.subscribe(b, group)
	s.publish(b, msgs[:5]...)
	s.same("before", first.ack(5), msgs[:5])
	s.publish(b, msgs[5:]...)
	first.next()
	second := s.subscribe(s.another(b), group)
	first.close()
	s.same("after", second.ack(5), msgs[5:])
}

// replayLeavesGroupsInPeace checks that a subscription without a group neither moves a group's place nor has one.
func replayLeavesGroupsInPeace(s *suite) {
	b, group := s.open(), s.group()
	msgs := s.messages(10)
	s.publish(b, msgs...)
	sub := s.subscribe(b, group)
	s.same("group", sub.ack(5), msgs[:5])
	s.same("replay", s.subscribe(b, "").ack(10), msgs)
	sub = s.reopened(b, sub, group)
	s.same("group after the start", sub.ack(5), msgs[5:])
}
