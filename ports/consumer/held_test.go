package consumer_test

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

// losable returns a record whose partition can be lost.
func losable(partition int32, offset int64, value string) (msg *message.Message, lose context.CancelFunc) {
	msg = record(partition, offset, value)
	ctx, lose := context.WithCancel(msg.Context())
	msg.SetContext(ctx)
	return msg, lose
}

// The old owner of a partition may have its records in the channel when the new owner has begun to store later ones.
func TestLostRecordsAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := &store{}, &letters{}
		r := start(t.Context(), s, consumer.Options{DeadLetters: l})
		lost, lose := losable(0, 1, event("lost"))
		poison, losePoison := losable(0, 2, "not JSON")
		lose()
		losePoison()
		r.msgs <- lost
		r.msgs <- poison
		r.msgs <- record(1, 5, event("kept"))
		synctest.Wait()
		wantStored(t, s, "[kept]", map[int32]int64{1: 6})
		if isAcked(lost) || isAcked(poison) || len(l.kept) != 0 {
			t.Errorf("acked %t and %t, %d dead letters", isAcked(lost), isAcked(poison), len(l.kept))
		}
		stop(t, r)
	})
}

func TestPartitionIsLostWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var here atomic.Bool
		s := &store{fail: func(int, []application.Entry) error {
			if !here.Load() {
				return errAway
			}
			return nil
		}}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		lost, lose := losable(0, 1, event("lost"))
		r.msgs <- lost
		r.msgs <- record(1, 5, event("kept"))
		time.Sleep(time.Minute)
		lose()
		time.Sleep(time.Minute)
		if up, _ := r.Status(); up {
			t.Error("up although the store is away")
		}
		here.Store(true)
		time.Sleep(time.Minute)
		wantStored(t, s, "[kept]", map[int32]int64{1: 6})
		if up, why := r.Status(); !up || isAcked(lost) {
			t.Errorf("up %t, %s; the lost record is acked: %t", up, why, isAcked(lost))
		}
		stop(t, r)
	})
}

// A store that hangs must not store what its partition's new owner will.
func TestLossCancelsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{hang: 1}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		lost, lose := losable(0, 1, event("lost"))
		r.msgs <- lost
		synctest.Wait()
		r.msgs <- record(1, 5, event("kept"))
		synctest.Wait()
		wantStored(t, s, "[]", nil)
		lose()
		synctest.Wait()
		wantStored(t, s, "[kept]", map[int32]int64{1: 6})
		if got := r.Stats(); got.Retries != 0 || got.Consumed != 1 || isAcked(lost) {
			t.Errorf("stats %+v; the lost record is acked: %t", got, isAcked(lost))
		}
		stop(t, r)
	})
}

// Nothing waits any more when all that did is lost.
func TestAllIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{fail: func(int, []application.Entry) error { return errAway }}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		lost, lose := losable(0, 1, event("lost"))
		r.msgs <- lost
		time.Sleep(time.Minute)
		lose()
		synctest.Wait()
		if up, why := r.Status(); !up {
			t.Errorf("down: %s", why)
		}
		stop(t, r)
	})
}

func wantStored(t *testing.T, s *store, users string, taken map[int32]int64) {
	t.Helper()
	places, err := s.Positions(t.Context(), "events")
	if got := fmt.Sprint(s.users()); got != users || !maps.Equal(places, taken) || err != nil {
		t.Errorf("stored %s up to %v, want %s up to %v", got, places, users, taken)
	}
}
