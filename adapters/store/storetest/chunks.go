package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// testChunkEnds has limits and sizes around the ends of the chunks that stores of [store.Walk] read.
func testChunkEnds(s *stage) {
	s.record(s.log.entries(2 * store.ChunkEvents)...)
	for i := range 9 { // each of a quarter of a chunk
		metadata := fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", store.ChunkBytes/4-200))
		s.record(s.log.entry(domain.Draft{UserID: "large", EventType: "t", Metadata: []byte(metadata)}))
	}
	for _, limit := range []int{3, 4, 5, 8, 9, store.ChunkEvents - 1, store.ChunkEvents, store.ChunkEvents + 1, 2*store.ChunkEvents - 1, 2 * store.ChunkEvents, 2*store.ChunkEvents + 4} {
		for _, q := range []application.Query{{}, {Descending: true}, {UserID: "large"}} {
			want := texts(selected(s.stored, q))
			q.Limit = limit
			s.same(describe(q), s.pages(q), want)
		}
	}
}

// testFarOffClocks has a time range in a store where one event in a hundred has a time that is years off.
func testFarOffClocks(s *stage) {
	const n = 30_000
	entries := make([]application.Entry, n)
	for i := range entries {
		at := epoch.Add(time.Duration(i) * time.Second)
		if i%100 == 7 {
			at = at.AddDate(i%300-150, 0, 0)
		}
		entries[i] = s.log.entry(domain.Draft{UserID: userOf(i % 3), EventType: "t", Timestamp: at})
	}
	s.record(entries...)
	from := epoch.Add(n / 2 * time.Second)
	for _, q := range []application.Query{{}, {Descending: true}, {UserID: userOf(1)}, {UserID: userOf(2), EventType: "t"}} {
		q.From, q.To = from, from.Add(1000*time.Second)
		want := texts(selected(s.stored, q))
		if q.Limit = 1000; len(want) < 300 {
			s.Fatalf("%s: only %d are expected", describe(q), len(want))
		}
		s.same(describe(q), s.pages(q), want)
	}
}

// SlowReaders checks that more readers than a store has connections can be slow: each lets go of its connection while it is busy
// with what it got, which idle tells, and goes on with what there was at its beginning. The store must be empty, and be quick to
// let go.
func SlowReaders(t *testing.T, s application.Store, connections int, idle func() bool) {
	t.Helper()
	const n = 5 * store.ChunkEvents
	entries := BenchEntries(n + 1)
	record := func(entries ...application.Entry) error {
		_, err := s.Record(t.Context(), batchOf(entries...))
		return err
	}
	if err := record(entries[:n]...); err != nil {
		t.Fatal(err)
	}
	var slow func(depth int) error
	slow = func(depth int) error {
		count := 0
		_, err := s.Query(t.Context(), application.Query{Descending: depth%2 == 1}, func([]byte) error {
			if count++; count != 10 {
				return nil
			}
			for deadline := time.Now().Add(10 * time.Second); !idle(); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					return errors.New("a slow reader keeps its connection")
				}
			}
			if depth <= connections {
				return slow(depth + 1)
			}
			return record(entries[n])
		})
		if count != n {
			return errors.Join(err, fmt.Errorf("%d events, want %d", count, n))
		}
		return err
	}
	if err := slow(0); err != nil {
		t.Error(err)
	}
}
