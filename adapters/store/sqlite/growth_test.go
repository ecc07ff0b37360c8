package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
// and reports how long it took to open the large one, how fast it is read as a whole, and what memory the process takes.
// NSF_BENCH_FOLDER keeps the large file, to be used again.
func BenchmarkGrowth(b *testing.B) {
	large := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("NSF_BENCH_EVENTS")); err == nil {
		large = n
	}
	folder := os.Getenv("NSF_BENCH_FOLDER")
	if folder == "" {
		folder = b.TempDir()
	}
	small := openIn(b, b.TempDir())
	defer closeIt(b, small)
	grow(b, small, growthSmall)
	filled := openIn(b, folder)
	grow(b, filled, large)
	closeIt(b, filled)
	start := time.Now()
	big, err := open(b.Context(), filepath.Join(folder, defaultName), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("opened %d events in %v", large, time.Since(start).Round(time.Microsecond))
	defer closeIt(b, big)
	for range b.N {
		compare(b, small, big, large)
		rawInserts(b)
		readAll(b, big)
	}
}

// growthEvent is the i-th of n events: a second after the one before, give or take; one in NSF_BENCH_OFF (100,000) is years
// off. One user has every tenth event, the others have about 180 each, whatever n is.
func growthEvent(b *testing.B, i, n int) application.Entry {
	accepted := growthStart.Add(time.Duration(i) * time.Second)
	at := accepted.Add(-time.Duration(rand.IntN(60)) * time.Second)
	off := 100_000
	if n, err := strconv.Atoi(os.Getenv("NSF_BENCH_OFF")); err == nil {
		off = n
	}
	if i%off == off-1 {
		at = at.AddDate(rand.IntN(80)-40, 0, 0)
	}
	users := n / 200
	user := 1 + i*7919%100_003%users
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
			batch.Entries = append(batch.Entries, growthEvent(b, i, n))
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
		q.UserID = fmt.Sprintf("user-%05d", 1+i*37%(n/200))
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

// rawInserts compares Record with nothing but the insertion of the same rows, in turns, into new files.
func rawInserts(b *testing.B) {
	b.Helper()
	const n, size = 100_000, 2000
	entries := make([]application.Entry, n)
	for i := range entries {
		entries[i] = growthEvent(b, i, n)
	}
	ours, raw := openIn(b, b.TempDir()), openIn(b, b.TempDir())
	defer closeIt(b, ours)
	defer closeIt(b, raw)
	var tookOurs, tookRaw time.Duration
	row := newEventRow()
	for i := 0; i < n; i += size {
		begin := time.Now()
		if _, err := ours.Record(b.Context(), application.Batch{Entries: entries[i : i+size]}); err != nil {
			b.Fatal(err)
		}
		tookOurs += time.Since(begin)
		begin = time.Now()
		err := raw.writer.transact(b.Context(), func() error {
			for j, e := range entries[i : i+size] {
				if _, err := row.insert(raw.writer, int64(i+j+1), e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		tookRaw += time.Since(begin)
	}
	b.Logf("Record %.0f events/s, the rows alone %.0f/s", n/tookOurs.Seconds(), n/tookRaw.Seconds())
}
