package postgres

import (
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
)

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
	s := openAt(t, newSchema(t))
	defer closeIt(t, s)
	s.hold = time.Millisecond
	storetest.SlowReaders(t, s, maxReaders, func() bool { return s.readers.Stat().AcquiredConns() == 0 })
}
