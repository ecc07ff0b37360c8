package brokertest

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

var delivery = map[string]func(*suite){
	"NackIsDeliveredAgain": nackIsDeliveredAgain,
	"NacksArePaced":        nacksArePaced,
	"AheadOfAcks":          aheadOfAcks,
	"MessageContext":       messageContext,
	"SubscriptionContext":  subscriptionContext,
}

// nackIsDeliveredAgain nacks the first message; those that the receiver had by then may come before it.
func nackIsDeliveredAgain(s *suite) {
	b := s.open()
	msgs := s.messages(5)
	sub := s.receive(b, s.group(), msgs...)
	first := sub.next()
	s.same("first", []*message.Message{first}, msgs[:1])
	origin := s.origin(first)
	first.Nack()
	var others []*message.Message
	again := sub.next()
	for ; again.UUID != first.UUID; again = sub.next() {
		again.Ack()
		others = append(others, again)
	}
	if got := s.origin(again); got.Position != origin.Position {
		s.Errorf("delivered again from %+v, at first from %+v", got.Position, origin.Position)
	}
	again.Ack()
	others = append(others, sub.ack(len(msgs)-1-len(others))...)
	s.same("the others", others, msgs[1:])
	sub.published()
}

// nacksArePaced nacks one message again and again: no receiver may be kept busy by what it cannot take.
func nacksArePaced(s *suite) {
	const nacks, least = 4, 100 * time.Millisecond
	b := s.open()
	sub := s.receive(b, s.group(), s.messages(1)...)
	start := time.Now()
	for range nacks {
		sub.next().Nack()
	}
	sub.ack(1)
	sub.published()
	if took := time.Since(start); took < least {
		s.Errorf("%d nacks in %v: want at least %v", nacks, took, least)
	}
}

// aheadOfAcks takes a window of messages before the first ack.
func aheadOfAcks(s *suite) {
	if s.Window < 2 {
		s.Skip("the broker waits for each ack")
	}
	n := min(s.Window, 500)
	b := s.open()
	msgs := s.messages(n)
	sub := s.receive(b, s.group(), msgs...)
	s.same("ahead of acks", sub.take(n), msgs)
}

// messageContext checks that a message's context lives until the ack, and never longer than the subscription.
func messageContext(s *suite) {
	b := s.open()
	sub := s.receive(b, s.group(), s.messages(2)...)
	msg := sub.next()
	if err := msg.Context().Err(); err != nil {
		s.Errorf("the context of a new message: %v", err)
	}
	msg.Ack()
	s.ended(msg.Context(), "an acked message's context")
	msg = sub.next()
	sub.cancel()
	s.ended(msg.Context(), "the context of a message whose subscription has ended")
}

func (s *suite) ended(ctx context.Context, what string) {
	s.Helper()
	s.within("end of "+what, func() { <-ctx.Done() })
	if ctx.Err() == nil {
		s.Errorf("%s has ended without error", what)
	}
}

// subscriptionContext checks that the end of the subscriber's context closes its channel, and no other.
func subscriptionContext(s *suite) {
	b := s.open()
	group := s.group()
	first := s.subscribe(b, group)
	first.cancel()
	first.closed()
	msgs := s.messages(1)
	sub := s.receive(b, group, msgs...)
	s.same("after another subscription", sub.ack(1), msgs)
	sub.published()
}
