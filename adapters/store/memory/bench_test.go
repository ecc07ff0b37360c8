package memory

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
)

// BenchmarkFootprint reports what an event takes in memory, all in, and the longest time that a batch of a thousand took.
// The entries are made and dropped as in a running service.
func BenchmarkFootprint(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000, 3_000_000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				entries := storetest.BenchEntries(n)
				size := 0
				for _, e := range entries {
					size += len(e.Event.JSON())
				}
				s := New()
				before := heap()
				b.StartTimer()
				longest := fill(b, s, entries)
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/float64(n), "bytes/event")
				b.ReportMetric(float64(size)/float64(n), "json-bytes/event")
				b.ReportMetric(float64(longest.Microseconds()), "longest-batch-µs")
				runtime.KeepAlive(entries)
				runtime.KeepAlive(s)
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func fill(b *testing.B, s *Store, entries []application.Entry) (longest time.Duration) {
	for batch := range slices.Chunk(entries, 1000) {
		begin := time.Now()
		if _, err := s.Record(b.Context(), application.Batch{Entries: batch}); err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(begin))
	}
	return longest
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLarge reads a store of three million events, more than any cache holds.
func BenchmarkLarge(b *testing.B) {
	entries := storetest.BenchEntries(3_000_000)
	s := New()
	fill(b, s, entries)
	runtime.GC()
	storetest.BenchReads(b, s, entries)
}
