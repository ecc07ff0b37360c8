package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

type batchKey struct{}

// TestBatchesAreObserved has each batch told once, its context go to the store, and its end come behind the acks.
func TestBatchesAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, ended []int
		var done []bool
		var sent []*message.Message
		observe := func(ctx context.Context, batch []*message.Message) (context.Context, func(bool)) {
			n := len(batch)
			begun = append(begun, n)
			return context.WithValue(ctx, batchKey{}, n), func(ok bool) {
				ended, done = append(ended, n), append(done, ok)
				if ok != isAcked(sent[len(sent)-1]) {
					t.Errorf("done %t, and the acks say otherwise", ok)
				}
			}
		}
		s := &contextStore{fail: errors.New("not yet")}
		r := start(t.Context(), nil, consumer.Options{Record: application.NewRecord(s), DeadLetters: &letters{}, Observe: observe})
		send := func() {
			sent = append(sent, record(0, int64(len(sent)), event("u")))
			r.msgs <- sent[len(sent)-1]
		}
		send()
		synctest.Wait()
		if len(begun) != 1 || len(ended) != 0 {
			t.Errorf("begun %v, ended %v while the store is away", begun, ended)
		}
		r.Stop()
		synctest.Wait()
		if len(done) != 1 || done[0] {
			t.Errorf("cut off, and done is %v", done)
		}
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		s.fail, begun, ended, done, sent = nil, nil, nil, nil, nil
		r = start(t.Context(), nil, consumer.Options{Record: application.NewRecord(s), DeadLetters: &letters{}, Observe: observe})
		send()
		synctest.Wait()
		if len(done) != 1 || !done[0] || begun[0] != ended[0] || s.seen != 1 {
			t.Errorf("begun %v, ended %v, done %v, the store saw a batch of %d", begun, ended, done, s.seen)
		}
		stop(t, r)
	})
}

type recordKey struct{}

// TestRecordsAreObserved has one record of a batch given up: that is told in its own context, in which its dead letter is kept.
func TestRecordsAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		l := &contextLetters{}
		r := start(t.Context(), &store{}, consumer.Options{
			DeadLetters: l,
			Observe: func(ctx context.Context, _ []*message.Message) (context.Context, func(bool)) {
				return context.WithValue(ctx, batchKey{}, "batch"), func(bool) {}
			},
			RecordContext: func(ctx context.Context, msg *message.Message) context.Context {
				return context.WithValue(ctx, recordKey{}, fmt.Sprint(msg.UUID, " of the ", ctx.Value(batchKey{})))
			},
			GaveUp: func(ctx context.Context, reason error) {
				told = append(told, fmt.Sprint(ctx.Value(recordKey{}), ": ", errors.Is(reason, domain.ErrInvalid)))
			},
		})
		r.msgs <- record(0, 1, event("u"))
		r.msgs <- record(0, 2, "no event")
		synctest.Wait()
		if len(told) != 1 || told[0] != "uuid-2 of the batch: true" || l.record != "uuid-2 of the batch" {
			t.Errorf("told %q, and the dead letters were given %q", told, l.record)
		}
		stop(t, r)
	})
}

// contextLetters notes what comes with the context.
type contextLetters struct {
	letters

	record any
}

func (l *contextLetters) Keep(ctx context.Context, d application.DeadLetter) error {
	l.record = ctx.Value(recordKey{})
	return l.letters.Keep(ctx, d)
}

// contextStore notes what comes with the context.
type contextStore struct {
	store

	fail error
	seen int
}

func (s *contextStore) Record(ctx context.Context, b application.Batch) (int, error) {
	s.seen, _ = ctx.Value(batchKey{}).(int)
	if s.fail != nil {
		return 0, s.fail
	}
	return len(b.Entries), nil
}
