package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

func TestRecordsInOrderAndAcksAfterTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{fail: func(int, []application.Entry) error { <-release; return nil }}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		var sent []*message.Message
		for i := range 10 {
			sent = append(sent, record(0, int64(i), event(fmt.Sprint(i))))
			r.msgs <- sent[i]
		}
		synctest.Wait()
		if slices.ContainsFunc(sent, isAcked) {
			t.Fatal("acked before the store had the event")
		}
		close(release)
		synctest.Wait()
		if got := fmt.Sprint(s.users()); got != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Fatalf("stored %s", got)
		}
		for i, msg := range sent {
			if !isAcked(msg) {
				t.Errorf("message %d is not acked", i)
			}
		}
		if s.calls > 2 {
			t.Errorf("%d calls of the store for what was ready at once", s.calls)
		}
		stop(t, r)
	})
}

func stop(t *testing.T, r *running) {
	t.Helper()
	r.Stop()
	if err := <-r.done; err != nil {
		t.Errorf("run: %v", err)
	}
	if !r.sub.closed {
		t.Error("the subscriber is open")
	}
	if up, _ := r.Status(); up || !r.Alive() {
		t.Error("an ended consumer must not be up, and one that was stopped is not dead")
	}
}

func TestTransientFailureIsRetriedInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{fail: func(call int, _ []application.Entry) error {
			if call <= 20 {
				return errAway
			}
			return nil
		}}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		first := record(0, 1, event("a"))
		r.msgs <- first
		synctest.Wait()
		if up, why := r.Status(); up || why == "" {
			t.Errorf("status %v %q while the store is away", up, why)
		}
		r.msgs <- record(0, 2, event("b"))
		time.Sleep(3 * time.Minute)
		if got := fmt.Sprint(s.users()); got != "[a b]" {
			t.Fatalf("stored %s", got)
		}
		if up, why := r.Status(); !up {
			t.Errorf("down after the store came back: %s", why)
		}
		if got := r.Stats(); got.Retries != 20 || got.Stored != 2 || got.Consumed != 2 {
			t.Errorf("stats %+v", got)
		}
		stop(t, r)
	})
}

func TestPoisonBecomesADeadLetterBeforeItsAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := &store{}, &letters{fails: 3}
		r := start(t.Context(), s, consumer.Options{DeadLetters: l})
		poison, good := record(2, 7, `{"userId":`), record(2, 8, event("a"))
		r.msgs <- poison
		r.msgs <- good
		synctest.Wait()
		if isAcked(poison) || isAcked(good) {
			t.Fatal("acked before the dead letter was kept")
		}
		time.Sleep(time.Minute)
		if !isAcked(poison) || !isAcked(good) {
			t.Fatal("not acked")
		}
		if len(l.kept) != 1 {
			t.Fatalf("%d dead letters", len(l.kept))
		}
		d := l.kept[0]
		if d.Topic != "events" || d.Partition != 2 || d.Offset != 7 || string(d.Key) != "k" || d.Headers["trace"] != "abc" ||
			d.Attempts != 1 || d.Reason == nil || d.MessageID != "uuid-7" || string(d.Value) != `{"userId":` || d.Consumer != "group" {
			t.Errorf("dead letter %+v", d)
		}
		stop(t, r)
	})
}

func TestEventThatTheStoreCanNeverTakeIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &store{fail: func(call int, entries []application.Entry) error {
			if call == 1 {
				<-release // so that what follows comes as one batch
			}
			if slices.ContainsFunc(entries, func(e application.Entry) bool { return e.Event.UserID() == "bad" }) {
				return errInvalid
			}
			return nil
		}}
		l := &letters{}
		r := start(t.Context(), s, consumer.Options{DeadLetters: l})
		for i, user := range []string{"first", "a", "b", "bad", "c", "d"} {
			r.msgs <- record(0, int64(i), event(user))
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if got := fmt.Sprint(s.users()); got != "[first a b c d]" {
			t.Errorf("stored %s", got)
		}
		if len(l.kept) != 1 || l.kept[0].Offset != 3 {
			t.Errorf("dead letters %+v", l.kept)
		}
		stop(t, r)
	})
}

func TestPoisonIsPassedOverWhereAnotherSeesToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		r := start(t.Context(), s, consumer.Options{})
		poison := record(0, 1, "garbage")
		r.msgs <- poison
		r.msgs <- record(0, 2, event("a"))
		synctest.Wait()
		if !isAcked(poison) || r.Stats().PassedOver != 1 || len(s.users()) != 1 {
			t.Errorf("acked %v, stats %+v", isAcked(poison), r.Stats())
		}
		stop(t, r)
	})
}

func TestInspectorRecordsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &letters{}
		r := start(t.Context(), nil, consumer.Options{DeadLetters: l})
		good, poison := record(0, 1, event("a")), record(0, 2, "")
		r.msgs <- good
		r.msgs <- poison
		synctest.Wait()
		if !isAcked(good) || !isAcked(poison) || len(l.kept) != 1 {
			t.Errorf("acked %v %v, %d dead letters", isAcked(good), isAcked(poison), len(l.kept))
		}
		stop(t, r)
	})
}

func TestStopWhileTheStoreIsAwayAcksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{fail: func(int, []application.Entry) error { return errAway }}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		msg := record(0, 1, event("a"))
		r.msgs <- msg
		synctest.Wait()
		stop(t, r)
		if isAcked(msg) {
			t.Error("acked without being stored")
		}
	})
}

func TestStopFinishesWhatHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		r := start(t.Context(), s, consumer.Options{DeadLetters: &letters{}})
		synctest.Wait()
		for i := range 50 {
			r.msgs <- record(0, int64(i), event("a"))
		}
		stop(t, r)
		if len(s.users()) != 50 {
			t.Errorf("%d of 50 stored", len(s.users()))
		}
	})
}

func TestHardEndReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &store{fail: func(int, []application.Entry) error { return errAway }}
		r := start(ctx, s, consumer.Options{DeadLetters: &letters{}})
		r.msgs <- record(0, 1, event("a"))
		synctest.Wait()
		cancel()
		if err := <-r.done; err == nil {
			t.Error("no error although it was cut off")
		}
		if r.Alive() {
			t.Error("alive although nobody asked it to end")
		}
	})
}

func TestSubscriptionIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		first, second := make(chan *message.Message), make(chan *message.Message, 1)
		close(first)
		sub := &subscriber{channels: []chan *message.Message{first, second}, away: 5}
		c := consumer.New(sub, consumer.Options{Topic: "events", Record: application.NewRecord(s), Logger: quiet})
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		synctest.Wait()
		if up, why := c.Status(); up || why == "" {
			t.Error("up without a subscription")
		}
		second <- record(0, 1, event("a"))
		time.Sleep(time.Minute)
		if got := s.users(); len(got) != 1 {
			t.Errorf("stored %v", got)
		}
		c.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestReadyOnlyWhenCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := 3
		r := start(t.Context(), &store{}, consumer.Options{Bounds: func(context.Context) (map[int32]application.Bounds, error) {
			if fails--; fails >= 0 {
				return nil, errAway
			}
			return map[int32]application.Bounds{0: {First: 10, Next: 12}, 1: {First: 0, Next: 1}, 2: {First: 5, Next: 5}}, nil
		}})
		time.Sleep(2 * time.Second)
		expect := func(want bool, wantDetail string) {
			t.Helper()
			time.Sleep(time.Second)
			if up, detail := r.Status(); up != want || detail != wantDetail {
				t.Errorf("status %v %q, want %v %q", up, detail, want, wantDetail)
			}
		}
		expect(false, "rebuilding the view: 0 of 3 records")
		r.msgs <- record(0, 10, event("a"))
		r.msgs <- record(1, 0, event("a"))
		expect(false, "rebuilding the view: 2 of 3 records")
		r.msgs <- record(0, 11, "poison counts as well")
		expect(true, "")
		stop(t, r)
	})
}

func TestCatchUpEndsWhereTheLastOffsetsHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		r := start(t.Context(), &store{}, consumer.Options{Bounds: func(context.Context) (map[int32]application.Bounds, error) {
			if away.Load() {
				return nil, errAway
			}
			return map[int32]application.Bounds{0: {First: 0, Next: 2}}, nil
		}})
		r.msgs <- record(0, 0, event("a"))
		time.Sleep(5 * time.Second)
		away.Store(true) // a broker that is away is silent, too, but has more to say
		time.Sleep(time.Minute)
		if up, _ := r.Status(); up {
			t.Fatal("caught up while the broker was away")
		}
		away.Store(false)
		time.Sleep(5 * time.Second)
		if up, _ := r.Status(); up {
			t.Fatal("caught up as soon as the broker was back")
		}
		time.Sleep(10 * time.Second)
		if up, why := r.Status(); !up {
			t.Fatalf("not caught up after a long silence: %s", why)
		}
		stop(t, r)
	})
}

func TestCatchUpEndsBesideABusyPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t.Context(), &store{}, consumer.Options{Bounds: func(context.Context) (map[int32]application.Bounds, error) {
			return map[int32]application.Bounds{0: {First: 0, Next: 2}, 1: {First: 0, Next: 1}}, nil
		}})
		time.Sleep(time.Second)
		r.msgs <- record(0, 0, event("a"))
		for offset := range int64(15) {
			r.msgs <- record(1, offset, event("b"))
			time.Sleep(time.Second)
		}
		if up, why := r.Status(); !up {
			t.Fatalf("not caught up, as another partition goes on: %s", why)
		}
		stop(t, r)
	})
}

// TestRebuilding tells while a view lacks something that the log is known to have.
func TestRebuilding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := make(chan *message.Message, 2)
		var known atomic.Bool
		c := consumer.New(&subscriber{channels: []chan *message.Message{records}}, consumer.Options{
			Topic: "events", Record: application.NewRecord(&store{}), Logger: quiet,
			Bounds: func(context.Context) (map[int32]application.Bounds, error) {
				if !known.Load() {
					return nil, errAway
				}
				return map[int32]application.Bounds{0: {Next: 2}}, nil
			},
		})
		wants := func(when string, want bool) {
			t.Helper()
			if got := c.Rebuilding(); got != want {
				t.Errorf("%s: rebuilding %v", when, got)
			}
		}
		wants("before it is known", true)
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		synctest.Wait()
		wants("while the broker is away", false)
		known.Store(true)
		records <- record(0, 0, event("u"))
		time.Sleep(5 * time.Second)
		wants("with one of two records", true)
		records <- record(0, 1, event("u"))
		<-c.CaughtUp()
		wants("with all", false)
		c.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestStoreAwayIsNoSilence has the store take nothing for a minute, during which nothing comes: the view is not whole.
func TestStoreAwayIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{fail: func(int, []application.Entry) error { return errAway }}
		records := make(chan *message.Message, 10)
		for i := range 3 {
			records <- record(0, int64(i), event("u"))
		}
		c := consumer.New(&subscriber{channels: []chan *message.Message{records}}, consumer.Options{
			Topic: "events", Record: application.NewRecord(s), Logger: quiet,
			Bounds: func(context.Context) (map[int32]application.Bounds, error) {
				return map[int32]application.Bounds{0: {Next: 1000}}, nil
			},
		})
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		select {
		case <-c.CaughtUp():
			t.Error("a store that takes nothing counts as one that has everything")
		case <-time.After(time.Minute):
		}
		c.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
