package consumer_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
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
