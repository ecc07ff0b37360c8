package memory

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) application.Store { return New() })
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(*testing.B) application.Store { return New() })
}

func TestOpen(t *testing.T) {
	drivers := map[string]store.Open{"memory": Open}
	s, err := store.OpenURL(t.Context(), drivers, "memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Volatile() || s.Ping(t.Context()) != nil || s.Close() != nil {
		t.Error("want a volatile store that answers and closes")
	}
	for _, url := range []string{"memory:x", "memory://", "memory:?a=b", "memory: "} {
		if s, err := store.OpenURL(t.Context(), drivers, url, store.Options{}); !errors.Is(err, domain.ErrInvalid) || s != nil {
			t.Errorf("%s: %v, %v; want a domain.ErrInvalid", url, s, err)
		}
	}
}

func TestClose(t *testing.T) {
	s := New()
	entries := storetest.BenchEntries(3)
	if _, err := s.Record(t.Context(), application.Batch{Entries: entries}); err != nil {
		t.Fatal(err)
	}
	// A query that is under way is not hurt.
	seen := 0
	_, err := s.Query(t.Context(), application.Query{}, func([]byte) error {
		seen++
		return s.Close()
	})
	if err != nil || seen != len(entries) {
		t.Errorf("the query under way: %d events, %v", seen, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	_, record := s.Record(t.Context(), application.Batch{Entries: entries})
	_, event := s.Event(t.Context(), entries[0].Event.ID())
	_, query := s.Query(t.Context(), application.Query{}, nil)
	for _, err := range []error{s.Ping(t.Context()), record, event, query} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("after Close: %v, want a domain.ErrUnavailable", err)
		}
	}
}

// TestFull checks that a batch that does not fit changes nothing.
func TestFull(t *testing.T) {
	s := New()
	s.contents.Load().maxEvents = 10
	entries := storetest.BenchEntries(12)
	record := func(want int, kind error, entries ...application.Entry) {
		t.Helper()
		if added, err := s.Record(t.Context(), application.Batch{Entries: entries}); added != want || !errors.Is(err, kind) {
			t.Errorf("Record of %d: %d, %v; want %d, %v", len(entries), added, err, want, kind)
		}
	}
	record(8, nil, entries[:8]...)
	record(0, domain.ErrUnavailable, entries[8:11]...)
	record(2, nil, entries[8:10]...)
	record(0, domain.ErrUnavailable, entries[10])
	if got := count(t, s, application.Query{}); got != 10 {
		t.Errorf("%d events, want 10", got)
	}
}

func TestTooManyPartitions(t *testing.T) {
	s := New()
	entries := storetest.BenchEntries(maxPartitions + 2)
	for i := range entries {
		entries[i].Position.Partition = int32(i)
	}
	if added, err := s.Record(t.Context(), application.Batch{Entries: entries[:maxPartitions+1]}); added != 0 || !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("%d, %v; want a domain.ErrUnavailable", added, err)
	}
	if added, err := s.Record(t.Context(), application.Batch{Entries: entries[:maxPartitions]}); added != maxPartitions || err != nil {
		t.Errorf("%d, %v; want all", added, err)
	}
	entries[maxPartitions+1].Position.Partition = 5
	if added, err := s.Record(t.Context(), application.Batch{Entries: entries[maxPartitions+1:]}); added != 1 || err != nil {
		t.Errorf("%d, %v; want one", added, err)
	}
	for _, descending := range []bool{false, true} {
		q := application.Query{Limit: maxPartitions/2 + 1, Descending: descending}
		if got := count(t, s, q); got != maxPartitions+1 {
			t.Errorf("%d events, want %d", got, maxPartitions+1)
		}
	}
}

// TestYieldOwnsNothing checks that appending to what a query yields does not write into the store.
func TestYieldOwnsNothing(t *testing.T) {
	s := New()
	entries := storetest.BenchEntries(5)
	if _, err := s.Record(t.Context(), application.Batch{Entries: entries}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Query(t.Context(), application.Query{}, func(event []byte) error {
		if len(event) != cap(event) {
			t.Errorf("%d bytes have room for %d", len(event), cap(event))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	id := entries[0].Event.ID()
	for range 2 {
		got, err := s.Event(t.Context(), id)
		if err != nil || string(got) != string(entries[0].Event.JSON()) {
			t.Fatalf("%s, %v", got, err)
		}
		clear(got)
	}
}

// TestIdentity holds the domain to what the index of ids stands on: the JSON of an event begins with its id.
func TestIdentity(t *testing.T) {
	c := newContents()
	for _, e := range storetest.BenchEntries(3) {
		if _, head := c.identity(e.Event.ID()); string(head) != string(e.Event.JSON()[:idEnd]) {
			t.Errorf("%s does not begin with %s", e.Event.JSON(), head)
		}
	}
}

// TestCursorAhead takes a descending cursor to a view that is not yet filled up to where it began.
func TestCursorAhead(t *testing.T) {
	entries := storetest.BenchEntries(100)
	full, behind := New(), New()
	for s, n := range map[*Store]int{full: 100, behind: 60} {
		if _, err := s.Record(t.Context(), application.Batch{Entries: entries[:n]}); err != nil {
			t.Fatal(err)
		}
	}
	discard := func([]byte) error { return nil }
	q := application.Query{Limit: 10, Descending: true}
	var err error
	if q.Cursor, err = full.Query(t.Context(), q, discard); err != nil || q.Cursor == "" {
		t.Fatal(q.Cursor, err)
	}
	for _, s := range []*Store{behind, New()} {
		if _, err := s.Query(t.Context(), q, discard); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got %v, want a domain.ErrUnavailable", err)
		}
	}
	if _, err := behind.Record(t.Context(), application.Batch{Entries: entries[60:]}); err != nil {
		t.Fatal(err)
	}
	if got := count(t, behind, q); got != 90 {
		t.Errorf("%d events after the view has caught up, want 90", got)
	}
}

// TestAscendingCursorAhead takes an ascending cursor to a view that is behind: nothing comes twice, nothing is lost.
func TestAscendingCursorAhead(t *testing.T) {
	entries := storetest.BenchEntries(100)
	full, behind := New(), New()
	for s, n := range map[*Store]int{full: 100, behind: 60} {
		if _, err := s.Record(t.Context(), application.Batch{Entries: entries[:n]}); err != nil {
			t.Fatal(err)
		}
	}
	q := application.Query{Limit: 80}
	next, err := full.Query(t.Context(), q, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	q.Cursor = next
	if got := count(t, behind, q); got != 0 {
		t.Errorf("%d events that the cursor has passed come again", got)
	}
	if _, err := behind.Record(t.Context(), application.Batch{Entries: entries[60:]}); err != nil {
		t.Fatal(err)
	}
	if got := count(t, behind, q); got != 20 {
		t.Errorf("%d events, want 20", got)
	}
}

// count follows cursors to the end.
func count(t *testing.T, s *Store, q application.Query) (n int) {
	t.Helper()
	for {
		next, err := s.Query(context.Background(), q, func([]byte) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if next == "" {
			return n
		}
		q.Cursor = next
	}
}
