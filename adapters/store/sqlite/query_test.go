package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestPlans holds SQLite to plans that go along an index from the first number on, without sorting anything.
func TestPlans(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	want := map[source]string{
		fromAll:         "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
		fromUser:        "SEARCH e USING INDEX events_user (user_id=? AND seq>? AND seq<?)",
		fromType:        "SEARCH e USING INDEX events_type (type=? AND seq>? AND seq<?)",
		fromUserAndType: "SEARCH e USING INDEX events_user (user_id=? AND seq>? AND seq<?)",
		fromPairs:       "SEARCH p USING PRIMARY KEY (user_id=? AND type=? AND seq>? AND seq<?); SEARCH e USING INTEGER PRIMARY KEY (rowid=?)",
	}
	for shape, text := range s.texts {
		var steps []string
		err := s.readers.with(t.Context(), func(c *connection) error {
			return c.query("EXPLAIN QUERY PLAN "+text, func(row []driver.Value) (bool, error) {
				steps = append(steps, row[3].(string))
				return true, nil
			}, make([]driver.Value, parameters)...)
		})
		got := strings.ReplaceAll(strings.Join(steps, "; "), "COVERING INDEX", "INDEX")
		if err != nil || got != want[shape.source] {
			t.Errorf("%+v: %s, %v; want %s", shape, got, err, want[shape.source])
		}
	}
}

// TestChunkEnds has limits and sizes around the ends of chunks.
func TestChunkEnds(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	entries := storetest.BenchEntries(2 * store.ChunkEvents)
	record(t, s, entries...)
	for i := range 9 { // each of a quarter of a chunk
		metadata := fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", store.ChunkBytes/4-200))
		large, err := domain.Draft{UserID: "large", EventType: "t", Metadata: []byte(metadata)}.Event(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, application.Entry{Event: large})
	}
	record(t, s, entries[2*store.ChunkEvents:]...)
	for _, limit := range []int{3, 4, 5, 8, 9, store.ChunkEvents - 1, store.ChunkEvents, store.ChunkEvents + 1, 2*store.ChunkEvents - 1, 2 * store.ChunkEvents, 2*store.ChunkEvents + 4} {
		for _, q := range []application.Query{{}, {Descending: true}, {UserID: "large"}} {
			q.Limit = limit
			want := len(entries)
			if q.UserID != "" {
				want = 9
			}
			if got := follow(t, s, q); got != want {
				t.Errorf("%+v: %d events in pages, want %d", q, got, want)
			}
		}
	}
}

// follow takes pages to the end and returns how many events there are, checking that each page but the last is full.
func follow(t *testing.T, s *Store, q application.Query) (count int) {
	t.Helper()
	for {
		page := 0
		next, err := s.Query(t.Context(), q, func([]byte) error { page++; return nil })
		if err != nil || page > q.Limit || next != "" && page < q.Limit {
			t.Fatalf("%+v: a page of %d, next %q, %v", q, page, next, err)
		}
		count += page
		if next == "" {
			return count
		}
		q.Cursor = next
	}
}

// TestSlowReaders checks that more readers than there are connections can be slow: each lets go of its connection while it
// is busy with what it got, and goes on with what there was at its beginning.
func TestSlowReaders(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	s.hold = time.Millisecond
	entries := storetest.BenchEntries(5*store.ChunkEvents + 1)
	record(t, s, entries[:5*store.ChunkEvents]...)
	var slow func(depth int) error
	slow = func(depth int) error {
		count := 0
		_, err := s.Query(t.Context(), application.Query{Descending: depth%2 == 1}, func([]byte) error {
			if count++; count != 10 {
				return nil
			}
			await(t, func() bool { return len(s.readers.turns) == maxReaders })
			if depth < maxReaders+1 {
				return slow(depth + 1)
			}
			record(t, s, entries[5*store.ChunkEvents])
			return nil
		})
		if count != 5*store.ChunkEvents {
			return errors.Join(err, fmt.Errorf("%d events", count))
		}
		return err
	}
	if err := slow(0); err != nil {
		t.Error(err)
	}
}

// TestFarOffClocks has a time range in a store where one event in a hundred has a time that is years off.
func TestFarOffClocks(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var entries []application.Entry
	for i := range 100_000 {
		at := start.Add(time.Duration(i) * time.Second)
		if i%100 == 7 {
			at = at.AddDate(i%300-150, 0, 0)
		}
		e, err := domain.Draft{UserID: fmt.Sprint("u", i%3), EventType: "t", Timestamp: at, Metadata: fmt.Appendf(nil, `{"n":%d}`, i)}.Event(start)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, application.Entry{Event: e, Accepted: at})
	}
	record(t, s, entries...)
	from := start.Add(50_000 * time.Second)
	for _, q := range []application.Query{{}, {Descending: true}, {UserID: "u1"}, {UserID: "u2", EventType: "t"}} {
		q.From, q.To, q.Limit = from, from.Add(1000*time.Second), 1000
		want := 0
		for _, e := range entries {
			if at := e.Event.Timestamp(); !at.Before(q.From) && at.Before(q.To) && (q.UserID == "" || q.UserID == e.Event.UserID()) {
				want++
			}
		}
		if got := follow(t, s, q); got != want || want == 0 {
			t.Errorf("%+v: %d, want %d", q, got, want)
		}
	}
}
