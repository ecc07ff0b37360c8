package sqlite

import (
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
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

// TestSlowReaders has readers that let go of their connections at once.
func TestSlowReaders(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	s.hold = time.Millisecond
	storetest.SlowReaders(t, s, maxReaders, func() bool { return len(s.readers.turns) == maxReaders })
}
