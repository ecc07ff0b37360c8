package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// restartPatience is how long a server may take to start again and to find its leaders: one with many partitions has much to
// do after its end was not clean.
const restartPatience = 2 * time.Minute

// load publishes events of several users, each one after another, until it is ended.
type load struct {
	*testing.T

	options broker.Options
	stop    context.CancelFunc
	done    sync.WaitGroup
	more    chan struct{}
	// accepted holds each user's ids in the order of their acceptance.
	mu       sync.Mutex
	accepted map[string][]string
}

func newLoad(t *testing.T, b broker.Broker, o broker.Options, users int) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{T: t, options: o, stop: stop, more: make(chan struct{}), accepted: map[string][]string{}}
	log := broker.NewLog(b, o)
	for u := range users {
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.publish(log, fmt.Sprint("user ", u), o.PublishTimeout)
				select {
				case l.more <- struct{}{}:
				default:
				}
			}
		})
	}
	t.Cleanup(func() {
		l.end()
		log.Close()
	})
	return l
}

// publish publishes one event; until it is accepted, again and again, as a client does.
func (l *load) publish(log *broker.Log, user string, timeout time.Duration) {
	event, err := domain.Draft{UserID: user, EventType: "test"}.Event(time.Now())
	if err != nil {
		l.Error(err)
	}
	for deadline := time.Now().Add(restartPatience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		_, err := log.Publish(ctx, []domain.Event{event})
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			l.Errorf("the event is not accepted after %v: %v", restartPatience, err)
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[user] = append(l.accepted[user], event.ID().String())
}

// awaitMore waits until more events were accepted.
func (l *load) awaitMore(n int) {
	for range n {
		select {
		case <-l.more:
		case <-time.After(restartPatience):
			l.Fatal("nothing is accepted any more")
		}
	}
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

func (l *load) count() (n int) {
	for _, ids := range l.accepted {
		n += len(ids)
	}
	return n
}

// check compares what was received, without repetitions, with what was accepted.
func (l *load) check(what string, received map[string][]string) {
	l.Helper()
	for user, ids := range l.accepted {
		if !slices.Equal(received[user], ids) {
			l.Errorf("%s: %s: got %d events, want %d, or another order", what, user, len(received[user]), len(ids))
		}
	}
}

// collect takes messages until all events of the load are there, and returns each user's ids, the first of each only.
// strict fails at a record that comes twice.
func collect(t *testing.T, messages <-chan *message.Message, l *load, strict bool) map[string][]string {
	t.Helper()
	ids, seen, places := map[string][]string{}, map[string]bool{}, map[any]bool{}
	for len(seen) < l.count() {
		msg := next(t, messages)
		msg.Ack()
		o := origin(t, msg)
		if strict && places[o.Position] {
			t.Errorf("%+v came twice", o.Position)
		}
		places[o.Position] = true
		if !seen[msg.UUID] {
			seen[msg.UUID] = true
			ids[string(o.Key)] = append(ids[string(o.Key)], msg.UUID)
		}
	}
	return ids
}
