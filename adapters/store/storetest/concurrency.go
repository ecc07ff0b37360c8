package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/netstreamflow/netstreamflow/application"
)

// writer records batches in the background, one for each call of more.
type writer struct {
	more func()
	// end returns when everything is written.
	end func()
}

func (s *stage) writeInBackground(entries []application.Entry, size int) writer {
	wanted := make(chan struct{}, 1)
	var done sync.WaitGroup
	done.Go(func() {
		for batch := range slices.Chunk(entries, size) {
			<-wanted
			if added, err := s.store.Record(s.Context(), batchOf(batch...)); err != nil || added != len(batch) {
				s.Errorf("Record of %d new events: %d, %v", len(batch), added, err)
			}
		}
	})
	s.stored = append(s.stored, entries...)
	w := writer{
		more: func() {
			select {
			case wanted <- struct{}{}:
			default: // the writer is behind
			}
		},
		end: sync.OnceFunc(func() {
			close(wanted)
			done.Wait()
		}),
	}
	s.Cleanup(w.end)
	return w
}

// testPagingWhileWriting follows cursors while events are stored. What comes must be what one query gives afterwards,
// without a gap: upwards from the beginning, downwards from where the first page began.
func testPagingWhileWriting(s *stage) {
	s.fill(60)
	for _, q := range variants() {
		for _, q.Limit = range []int{1, 4, 25} {
			before := len(selected(s.stored, q))
			w := s.writeInBackground(s.log.entries(40), 1+q.Limit%5)
			got := s.pagesWith(q, w.more)
			w.end()
			want := texts(selected(s.stored, q))
			if len(got) < before {
				s.Fatalf("%s: %d events, though %d were there before", describe(q), len(got), before)
			}
			if q.Descending {
				want = want[max(0, len(want)-len(got)):]
			}
			s.same(describe(q), got, want[:min(len(got), len(want))])
		}
	}
	s.expect(application.Query{}, s.stored)
}

// testReadersAndWriter reads all the time while batches are stored: every answer must be what was there at one moment,
// whole batches, and never less than before. The writer keeps the readers' pace, so that each batch meets some of them.
func testReadersAndWriter(s *stage) {
	const batch, batches, readers = 60, 40, 3
	entries := s.log.entries(batch * batches)
	all := texts(entries)
	var stored atomic.Int64
	var done sync.WaitGroup
	reading, over := make(chan struct{}, 1), make(chan struct{})
	for i := range readers {
		done.Go(func() {
			for seen := 0; seen < len(all) && !s.Failed(); {
				select {
				case reading <- struct{}{}:
				default: // the writer is at work
				}
				least := max(seen, int(stored.Load()))
				s.wholeByID(entries, batch, least)
				seen = s.readWhole(i, all, batch, least)
			}
		})
	}
	go func() {
		done.Wait()
		close(over)
	}()
	for b := range slices.Chunk(entries, batch) {
		select {
		case <-reading:
		case <-over:
		}
		s.record(b...)
		stored.Add(batch)
	}
	<-over
	s.expect(application.Query{}, s.stored)
}

// readWhole reads everything and checks it; it returns how much was there.
func (s *stage) readWhole(reader int, all []string, batch, least int) int {
	q := application.Query{Descending: reader%2 == 1}
	got, _, err := query(s.T, s.store, q)
	if q.Descending {
		slices.Reverse(got)
	}
	if err != nil || len(got) < least || len(got)%batch != 0 || !slices.Equal(got, all[:min(len(got), len(all))]) {
		s.Errorf("reader %d: %d events where at least %d were there, or others than those; %v", reader, len(got), least, err)
	}
	return max(least, len(got))
}

// wholeByID waits for the first event of the batch behind those that are there, for a while. Where it is, the last one
// must be.
func (s *stage) wholeByID(entries []application.Entry, batch, there int) {
	if there == len(entries) {
		return
	}
	first, last := entries[there].Event.ID(), entries[there+batch-1].Event.ID()
	for range 100 {
		if _, err := s.store.Event(s.Context(), first); err != nil {
			continue
		}
		if _, err := s.store.Event(s.Context(), last); err != nil {
			s.Errorf("the first event of a batch is there, the last one is not: %v", err)
		}
		return
	}
}

// testRecordDuringQuery stores from inside queries, which must neither wait for it nor see it.
func testRecordDuringQuery(s *stage) {
	s.fill(30)
	for _, q := range variants() {
		want := texts(selected(s.stored, q))
		var got []string
		next, err := s.store.Query(s.Context(), q, func(event []byte) error {
			if got = append(got, string(event)); len(got) == 1 {
				s.record(s.log.entries(1)...)
			}
			return nil
		})
		if next != "" || err != nil {
			s.Fatalf("%s: next %q, %v", describe(q), next, err)
		}
		s.same(describe(q), got, want)
	}
}

func testYieldError(s *stage) {
	s.fill(30)
	full := errors.New("the reader has gone")
	for _, q := range variants() {
		want := min(3, len(selected(s.stored, q)))
		calls := 0
		next, err := s.store.Query(s.Context(), q, func([]byte) error {
			if calls++; calls == want {
				return full
			}
			return nil
		})
		if want > 0 && (!errors.Is(err, full) || next != "" || calls != want) {
			s.Errorf("%s: %d calls, next %q, %v", describe(q), calls, next, err)
		}
	}
}

// testCancelled ends queries by their context: before they begin, and while they run, which may take a few events.
func testCancelled(s *stage) {
	s.record(s.log.entries(5000)...)
	for _, q := range []application.Query{{}, {Descending: true}, {UserID: userOf(1)}, {EventType: typeOf(1), Limit: 10}} {
		ctx, cancel := context.WithCancel(s.Context())
		if q.Limit == 0 {
			calls := 0
			_, err := s.store.Query(ctx, q, func([]byte) error { calls++; cancel(); return nil })
			if all := len(selected(s.stored, q)); calls == all && all > 1000 || calls < all && !errors.Is(err, context.Canceled) {
				s.Errorf("%s: %d calls of %d, %v", describe(q), calls, all, err)
			}
		}
		cancel()
		calls := 0
		next, err := s.store.Query(ctx, q, func([]byte) error { calls++; return nil })
		if !errors.Is(err, context.Canceled) || next != "" || calls > 0 {
			s.Errorf("%s with a cancelled context: %d calls, next %q, %v", describe(q), calls, next, err)
		}
	}
}
