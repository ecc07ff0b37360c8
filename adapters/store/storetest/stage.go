package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// stage is a store under test, with the log that fills it and what should be in it.
type stage struct {
	*testing.T
	store application.Store
	log   *log
	// stored is what should be there, in order.
	stored []application.Entry
}

func newStage(t *testing.T, open func(t *testing.T) application.Store) *stage {
	t.Helper()
	s := &stage{T: t, store: open(t), log: newLog(4)}
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	if err := s.store.Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v", err)
	}
	return s
}

// record stores entries that are all new.
func (s *stage) record(entries ...application.Entry) {
	s.Helper()
	added, err := s.store.Record(s.Context(), batchOf(entries...))
	if err != nil || added != len(entries) {
		s.Fatalf("Record of %d new events: %d, %v", len(entries), added, err)
	}
	s.stored = append(s.stored, entries...)
}

// topic is that of all batches.
const topic = "events"

// batchOf returns the batch of consecutive records of a log.
func batchOf(entries ...application.Entry) application.Batch {
	b := application.Batch{Topic: topic, Entries: entries, Taken: map[int32]int64{}}
	for _, e := range entries {
		b.Taken[e.Position.Partition] = e.Position.Offset + 1
	}
	return b
}

// fill stores n events of a few users and types, one second after another, in batches of several sizes.
func (s *stage) fill(n int) {
	s.Helper()
	entries := s.log.entries(n)
	for size := 1; len(entries) > 0; size++ {
		size = min(size, len(entries))
		s.record(entries[:size]...)
		entries = entries[size:]
	}
}

// page returns the answer to a query.
func (s *stage) page(q application.Query) (events []string, next string) {
	s.Helper()
	events, next, err := query(s.T, s.store, q)
	if err != nil {
		s.Fatalf("%s: %v", describe(q), err)
	}
	return events, next
}

// expect checks that a query without limit gives exactly these entries.
func (s *stage) expect(q application.Query, want []application.Entry) {
	s.Helper()
	got, next := s.page(q)
	if next != "" {
		s.Errorf("%s: a cursor without a limit: %q", describe(q), next)
	}
	s.same(describe(q), got, texts(want))
}

// same compares lists of events.
func (s *stage) same(what string, got, want []string) {
	s.Helper()
	if slices.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	s.Fatalf("%s: %d events, want %d; they differ from number %d on:\n got %s\nwant %s",
		what, len(got), len(want), i, excerpt(got, i), excerpt(want, i))
}

func excerpt(events []string, i int) string {
	if i >= len(events) {
		return "(nothing)"
	}
	return events[i][:min(300, len(events[i]))]
}

// query runs q to its end.
func query(t *testing.T, store application.Store, q application.Query) (events []string, next string, err error) {
	next, err = store.Query(t.Context(), q, func(event []byte) error {
		events = append(events, string(event))
		return nil
	})
	return events, next, err
}

// selected returns those of the entries that q selects, in its order, whatever its limit and cursor.
func selected(entries []application.Entry, q application.Query) []application.Entry {
	var out []application.Entry
	for _, e := range entries {
		if selects(q, e.Event) {
			out = append(out, e)
		}
	}
	if q.Descending {
		slices.Reverse(out)
	}
	return out
}

func selects(q application.Query, e domain.Event) bool {
	return (q.UserID == "" || q.UserID == e.UserID()) &&
		(q.EventType == "" || q.EventType == e.EventType()) &&
		(q.From.IsZero() || !e.Timestamp().Before(q.From)) &&
		(q.To.IsZero() || e.Timestamp().Before(q.To))
}

func texts(entries []application.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, string(e.Event.JSON()))
	}
	return out
}

func describe(q application.Query) string {
	bound := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("query user %q type %q from %s to %s descending %t limit %d cursor %q",
		q.UserID, q.EventType, bound(q.From), bound(q.To), q.Descending, q.Limit, q.Cursor)
}

// refused checks that the cursor of q is refused, before anything is yielded.
func (s *stage) refused(q application.Query) {
	s.Helper()
	events, next, err := query(s.T, s.store, q)
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Violations) != 1 || invalid.Violations[0].Pointer != "/cursor" {
		s.Errorf("%s: got error %v, want a domain.InvalidError at /cursor", describe(q), err)
	}
	if len(events) > 0 || next != "" {
		s.Errorf("%s: %d events and next %q in spite of the error", describe(q), len(events), next)
	}
}
