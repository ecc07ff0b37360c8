package postgres

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// growthSmall is the size that the large store is compared with.
const growthSmall = 10_000

// BenchmarkGrowth compares pages of 100 in a store of ten thousand events with those in one of NSF_BENCH_EVENTS (a million),
// and reports how fast the large one is read as a whole, and what memory the process takes. NSF_BENCH_POSTGRES names a schema
// for the large one, which is kept, to be used again.
func BenchmarkGrowth(b *testing.B) {
	large := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("NSF_BENCH_EVENTS")); err == nil {
		large = n
	}
	address := os.Getenv("NSF_BENCH_POSTGRES")
	if address == "" {
		address = newSchema(b)
	}
	small := openAt(b, newSchema(b))
	defer closeIt(b, small)
	grow(b, small, growthSmall)
	big := openAt(b, address)
	defer closeIt(b, big)
	grow(b, big, large)
	for range b.N {
		compare(b, small, big, large)
		readAll(b, big)
	}
}

// growthEvent is the i-th event: a second after the one before, give or take; one in a thousand is years off. One user in a
// thousand events, the first one, is in every tenth.
func growthEvent(b *testing.B, i int) application.Entry {
	accepted := growthStart.Add(time.Duration(i) * time.Second)
	at := accepted.Add(-time.Duration(rand.IntN(60)) * time.Second)
	if i%1000 == 999 {
		at = at.AddDate(rand.IntN(80)-40, 0, 0)
	}
	user := i * 7919 % 100_003 % 10_000
	if i%10 == 0 {
		user = 0
	}
	eventType := "page_" + strconv.Itoa(i*31%20)
	if i%5000 == 0 {
		eventType = "rare"
	}
	e, err := domain.Draft{
		UserID: fmt.Sprintf("user-%05d", user), EventType: eventType, Timestamp: at,
		Metadata: fmt.Appendf(nil, `{"page":"/products/%06d","ms":%d,"ref":"/search"}`, i%1_000_000, i%1000),
	}.Event(accepted)
	if err != nil {
		b.Fatal(err)
	}
	return application.Entry{Event: e, Accepted: accepted, Position: application.Position{Offset: int64(i)}}
}

var growthStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// grow fills the store up to n events.
func grow(b *testing.B, s *Store, n int) {
	b.Helper()
	positions, err := s.Positions(b.Context(), "events")
	if err != nil {
		b.Fatal(err)
	}
	begun, start := int(positions[0]), time.Now()
	for i := begun; i < n; {
		batch := application.Batch{Topic: "events", Taken: map[int32]int64{}}
		for ; i < n && len(batch.Entries) < 2000; i++ {
			batch.Entries = append(batch.Entries, growthEvent(b, i))
		}
		batch.Taken[0] = int64(i)
		if _, err := s.Record(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		if i%500_000 == 0 {
			b.Logf("%d events, %.0f/s", i, float64(i-begun)/time.Since(start).Seconds())
		}
	}
}

// compare reports the median latency of pages in both stores, which take turns.
func compare(b *testing.B, small, big *Store, large int) {
	b.Helper()
	for _, name := range []string{"all", "user", "busy user", "type", "user and type", "busy user and rare type", "id"} {
		for _, bounded := range []string{"", "from", "to", "from to"} {
			for _, descending := range []bool{false, true} {
				if name == "id" && (bounded != "" || descending) {
					continue
				}
				few := pages(b, small, growthSmall, name, bounded, descending)
				many := pages(b, big, large, name, bounded, descending)
				b.Logf("%-24s %-8s desc %-5t %8.0f µs %8.0f µs  %5.2f", name, bounded, descending, few, many, many/few)
			}
		}
	}
}

// pages returns the median time of a page, in microseconds.
func pages(b *testing.B, s *Store, n int, name, bounded string, descending bool) float64 {
	b.Helper()
	var took []time.Duration
	for i := range 60 {
		q := growthQuery(n, i, name, bounded)
		q.Descending = descending
		if i%2 == 1 { // from the middle
			q.Cursor = store.Cursor{Descending: descending, Seq: int64(n / 2)}.String()
		}
		begin := time.Now()
		if name == "id" {
			_, _ = s.Event(b.Context(), domain.NewUUID(growthStart.Add(time.Duration(rand.IntN(n))*time.Second)))
		} else if _, err := s.Query(b.Context(), q, func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Nanoseconds()) / 1000
}

func growthQuery(n, i int, name, bounded string) application.Query {
	q := application.Query{Limit: 100}
	if strings.Contains(name, "user") {
		q.UserID = fmt.Sprintf("user-%05d", 1+i*37)
	}
	if strings.Contains(name, "busy") {
		q.UserID = "user-00000"
	}
	if strings.Contains(name, "type") {
		q.EventType = "page_" + strconv.Itoa(i%20)
	}
	if strings.Contains(name, "rare") {
		q.EventType = "rare"
	}
	begin := growthStart.Add(time.Duration(n/4+i*n/200) * time.Second)
	if strings.Contains(bounded, "from") {
		q.From = begin
	}
	if strings.Contains(bounded, "to") {
		q.To = begin.Add(2 * time.Hour)
	}
	return q
}

func readAll(b *testing.B, s *Store) {
	b.Helper()
	count, start := 0, time.Now()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Query(b.Context(), application.Query{}, func([]byte) error { count++; return nil }); err != nil {
		b.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	b.Logf("read %d events, %.0f/s; Go's heap %d KiB before, %d KiB after", count, float64(count)/time.Since(start).Seconds(), before.HeapAlloc>>10, after.HeapAlloc>>10)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") || strings.HasPrefix(line, "VmRSS") {
			b.Log(strings.TrimSpace(line))
		}
	}
}
