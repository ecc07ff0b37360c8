package brokertest

import (
	"context"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

var lifecycle = map[string]func(*suite){
	"CloseIsRepeatable":       closeIsRepeatable,
	"CloseWithUnackedMessage": closeWithUnackedMessage,
	"CloseAtOnce":             closeAtOnce,
	"Closed":                  closed,
	"Ping":                    ping,
	"Bounds":                  bounds,
	"Lanes":                   lanes,
}

func closeIsRepeatable(s *suite) {
	b := s.open()
	sub := s.subscribe(b, s.group())
	for range 2 {
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() { s.check("close the subscriber", sub.subscriber.Close()) })
		}
		s.within("close the subscriber", running.Wait)
		sub.closed()
		s.shut(b)
	}
}

func (s *suite) check(what string, err error) {
	if err != nil {
		s.Errorf("%s: %v", what, err)
	}
}

// closeWithUnackedMessage checks that nobody waits for the ack of a receiver that has gone.
func closeWithUnackedMessage(s *suite) {
	const bound = 5 * time.Second
	b := s.open()
	sub := s.receive(b, s.group(), s.messages(3)...)
	msg := sub.next()
	start := time.Now()
	sub.close()
	if took := time.Since(start); took > bound {
		s.Errorf("close took %v: want less than %v", took, bound)
	}
	sub.closed()
	s.ended(msg.Context(), "a message's context after close")
	msg.Ack()
}

// closeAtOnce closes while the subscription is being made.
func closeAtOnce(s *suite) {
	b := s.open()
	for range 5 {
		sub := s.subscribe(b, s.group())
		sub.close()
		sub.closed()
	}
}

// closed checks that what is closed says so.
func closed(s *suite) {
	b := s.open()
	sub := s.subscribe(b, s.group())
	sub.close()
	s.within("subscribe to a closed subscriber", func() {
		if _, err := sub.subscriber.Subscribe(s.Context(), s.options.Topic); err == nil {
			s.Error("a closed subscriber subscribes")
		}
	})
	s.must("close the publisher", b.Publisher().Close)
	s.within("publish on a closed publisher", func() {
		if b.Publisher().Publish(s.options.Topic, s.messages(1)...) == nil {
			s.Error("a closed publisher publishes")
		}
	})
}

func ping(s *suite) {
	b := s.open()
	pinger, ok := b.(broker.Pinger)
	if !ok {
		s.Skip("the broker cannot be pinged")
	}
	s.must("ping", func() error {
		ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
		defer cancel()
		return pinger.Ping(ctx)
	})
	ended, cancel := context.WithCancel(s.Context())
	cancel()
	s.within("ping on an ended context", func() {
		if pinger.Ping(ended) == nil {
			s.Error("ping on an ended context succeeds")
		}
	})
}

// bounds checks the ends of the partitions of a new topic, and of one with records.
func bounds(s *suite) {
	const n = 20
	b := s.open()
	bounder, ok := b.(broker.Bounder)
	if !ok {
		s.Skip("the broker does not tell the bounds of its partitions")
	}
	total := func() (records int64) {
		ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
		defer cancel()
		partitions, err := bounder.Bounds(ctx, s.options.Topic)
		if err != nil || len(partitions) != s.options.Partitions {
			s.Fatalf("bounds %v, error %v: want %d partitions", partitions, err, s.options.Partitions)
		}
		for _, p := range partitions {
			records += p.Next - p.First
		}
		return records
	}
	if got := total(); got != 0 {
		s.Errorf("a new topic has %d records", got)
	}
	sub := s.receive(b, s.group(), s.messages(n)...)
	sub.ack(n)
	sub.published()
	if got := total(); s.Persistent && got != n {
		s.Errorf("the topic has %d records, want %d", got, n)
	}
}

func lanes(s *suite) {
	b := s.open()
	if l, ok := b.(broker.Laned); ok && l.Lanes() < 1 {
		s.Errorf("%d lanes", l.Lanes())
	}
}
