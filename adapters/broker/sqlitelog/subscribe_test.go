package sqlitelog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestStandbyTakesOver has three members of one group: each goes on where the one before it stopped.
func TestStandbyTakesOver(t *testing.T) {
	b := open(t, options(t))
	var members []message.Subscriber
	var channels []<-chan *message.Message
	for range 3 {
		subscriber, _ := b.Subscriber("group")
		received, err := subscriber.Subscribe(t.Context(), "topic")
		if err != nil {
			t.Fatal(err)
		}
		members, channels = append(members, subscriber), append(channels, received)
	}
	all := messages("m", 30)
	publish(t, b, all...)
	for n := range members {
		received := next(t, channels...)
		received.msg.Ack()
		expect(t, channels[received.from], all[10*n+1:10*n+10])
		if err := members[received.from].Close(); err != nil {
			t.Fatal(err)
		}
		channels[received.from] = nil
		if string(received.msg.Payload) != string(all[10*n].Payload) {
			t.Errorf("member %d began with %q", n, received.msg.Payload)
		}
	}
}

type arrival struct {
	msg  *message.Message
	from int
}

// next returns the next message of three channels.
func next(t *testing.T, channels ...<-chan *message.Message) arrival {
	t.Helper()
	select {
	case msg := <-channels[0]:
		return arrival{msg, 0}
	case msg := <-channels[1]:
		return arrival{msg, 1}
	case msg := <-channels[2]:
		return arrival{msg, 2}
	case <-time.After(30 * time.Second):
		t.Fatal("no message")
	}
	return arrival{}
}

// TestPlaceIsKeptSoon acks and waits: the place is on disk although nothing is published and nobody closes.
func TestPlaceIsKeptSoon(t *testing.T) {
	b := open(t, options(t))
	publish(t, b, messages("m", 5)...)
	expect(t, subscribe(t, b, "group"), messages("m", 5))
	deadline := time.Now().Add(10 * time.Second)
	for places := map[int32]int64(nil); places[0] != 5; {
		if time.Now().After(deadline) {
			t.Fatalf("the places are %v", places)
		}
		<-time.After(10 * time.Millisecond)
		var err error
		if places, err = b.Places(t.Context(), "topic", "group"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLargeRecordsAreReadInPieces has a backlog of more than a chunk in bytes and in number.
func TestLargeRecordsAreReadInPieces(t *testing.T) {
	o := options(t)
	o.MaxMessageBytes = 4 << 20
	b := open(t, o)
	all := messages("m", 600)
	for i := 100; i < 110; i++ {
		all[i].Payload = []byte(strings.Repeat("x", 700_000+i))
	}
	publish(t, b, all...)
	expect(t, subscribe(t, b, ""), all)
}

// TestManySubscriptions reads one topic with more subscriptions than there are connections, while it grows.
func TestManySubscriptions(t *testing.T) {
	b := open(t, options(t))
	all := messages("m", 1000)
	var running sync.WaitGroup
	for n := range 20 {
		group := ""
		if n%2 == 0 {
			group = fmt.Sprint("group ", n)
		}
		received := subscribe(t, b, group)
		running.Go(func() { expect(t, received, all) })
	}
	for first := 0; first < len(all); first += 10 {
		publish(t, b, all[first:first+10]...)
	}
	running.Wait()
}

// TestTopicsAreApart has many topics, each with offsets of its own, also when the log is opened again.
func TestTopicsAreApart(t *testing.T) {
	const topics = 40
	o := options(t)
	b := open(t, o)
	for round := range 3 {
		for n := range topics {
			msg := event(0)
			if err := b.Publisher().Publish(fmt.Sprint("topic ", n), msg); err != nil {
				t.Fatal(err)
			}
			origin, _ := application.OriginFrom(msg.Context())
			if origin.Offset != int64(round) || origin.Topic != fmt.Sprint("topic ", n) {
				t.Errorf("round %d, topic %d: the origin is %+v", round, n, origin)
			}
		}
		b.Close()
		b = open(t, o)
	}
	if err := b.Publisher().Publish("", event(0)); err == nil {
		t.Error("a topic without a name is taken")
	}
}

// TestPublicationWhoseContextEnded is not waited for.
func TestPublicationWhoseContextEnded(t *testing.T) {
	b := open(t, options(t))
	publish(t, b, messages("m", 1)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	msg := event(1)
	msg.SetContext(ctx)
	if err := b.Publisher().Publish("topic", msg); err != nil && !isUnavailable(err) {
		t.Errorf("got the error %v", err)
	}
}

func isUnavailable(err error) bool { return errors.Is(err, domain.ErrUnavailable) }
