package brokertest

import (
	"context"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// subscription is a subscriber with its one subscription.
type subscription struct {
	*suite

	subscriber message.Subscriber
	messages   <-chan *message.Message
	// cancel ends the subscription's context.
	cancel context.CancelFunc
	// published waits for the publication that receive has begun.
	published func()
}

// subscribe subscribes to the main topic; the subscriber is closed when the test ends.
func (s *suite) subscribe(b broker.Broker, group string) *subscription {
	s.Helper()
	subscriber, err := b.Subscriber(group)
	return s.subscribeWith(subscriber, err)
}

// subscribeWith subscribes with the new subscriber, unless making it failed.
func (s *suite) subscribeWith(subscriber message.Subscriber, err error) *subscription {
	s.Helper()
	if err != nil {
		s.Fatalf("make a subscriber: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	sub := &subscription{suite: s, subscriber: subscriber, cancel: cancel, published: func() {}}
	s.Cleanup(func() {
		sub.close()
		cancel()
	})
	s.must("subscribe", func() error {
		sub.messages, err = subscriber.Subscribe(ctx, s.options.Topic)
		return err
	})
	return sub
}

// receive has the messages published and subscribed to, in the order that the broker needs; a volatile one publishes in
// the background, as each publication waits for an ack.
func (s *suite) receive(b broker.Broker, group string, msgs ...*message.Message) *subscription {
	s.Helper()
	if s.Persistent {
		s.publish(b, msgs...)
		return s.subscribe(b, group)
	}
	sub := s.subscribe(b, group)
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = b.Publisher().Publish(s.options.Topic, msgs...)
	}()
	sub.published = func() {
		s.must("publish", func() error {
			<-done
			return err
		})
	}
	s.Cleanup(func() {
		sub.close()
		s.within("end of the publication", func() { <-done })
	})
	return sub
}

// next returns the next message.
func (s *subscription) next() *message.Message {
	s.Helper()
	select {
	case msg, open := <-s.messages:
		if !open {
			s.Fatal("the channel is closed where a message must come")
		}
		return msg
	case <-time.After(s.Patience):
		s.Fatalf("no message after %v", s.Patience)
	}
	return nil
}

// ack takes n messages and acks each.
func (s *subscription) ack(n int) []*message.Message {
	s.Helper()
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = s.next()
		msgs[i].Ack()
	}
	return msgs
}

// take takes n messages and acks none.
func (s *subscription) take(n int) []*message.Message {
	s.Helper()
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = s.next()
	}
	return msgs
}

// close closes the subscriber.
func (s *subscription) close() {
	s.Helper()
	s.must("close the subscriber", s.subscriber.Close)
}

// closed fails unless the channel gets closed.
func (s *subscription) closed() {
	s.Helper()
	s.within("close of the channel", func() {
		for range s.messages { //nolint:revive // what is still in the channel does not matter
		}
	})
}

// same fails unless both are the same messages in the same order.
func (s *suite) same(what string, got, want []*message.Message) {
	s.Helper()
	if g, w := identities(got), identities(want); !slices.Equal(g, w) {
		s.Fatalf("%s: got %q, want %q", what, g, w)
	}
}

// identities returns what tells the messages apart: id and payload.
func identities(msgs []*message.Message) []string {
	ids := make([]string, len(msgs))
	for i, m := range msgs {
		ids[i] = m.UUID + " " + string(m.Payload[:min(len(m.Payload), 40)])
	}
	return ids
}
