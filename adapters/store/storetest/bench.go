package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	benchEvents = 200_000
	benchUsers  = 10_000
	benchTypes  = 20
	benchBatch  = 1000
)

// Bench measures recording, streaming, pages and single events. open returns an empty store each time it is called.
func Bench(b *testing.B, open func(b *testing.B) application.Store) {
	b.Helper()
	entries := BenchEntries(benchEvents)
	for _, size := range []int{1, 100, benchBatch} {
		b.Run(fmt.Sprintf("Record/batch=%d", size), func(b *testing.B) { benchRecord(b, open, entries, size) })
	}
	store := open(b)
	defer func() { _ = store.Close() }()
	for batch := range slices.Chunk(entries, benchBatch) {
		if _, err := store.Record(b.Context(), batchOf(batch...)); err != nil {
			b.Fatal(err)
		}
	}
	BenchReads(b, store, entries)
}

// BenchEntries returns entries of n records of about 194 bytes, of ten thousand users and twenty types.
func BenchEntries(n int) []application.Entry {
	l := newLog(6)
	l.even = true
	out := make([]application.Entry, n)
	for i := range out {
		out[i] = l.entry(domain.Draft{
			UserID:    fmt.Sprintf("user-%04d", i*7919%benchUsers),
			EventType: fmt.Sprintf("page_%02d", i*31%benchTypes),
			Metadata:  fmt.Appendf(nil, `{"page":"/products/%06d","ms":%d,"ref":"/search"}`, i%1_000_000, i%1000),
		})
	}
	return out
}

func benchRecord(b *testing.B, open func(b *testing.B) application.Store, entries []application.Entry, size int) {
	store, used := open(b), 0
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if used+size > len(entries) {
			b.StopTimer()
			_ = store.Close()
			store, used = open(b), 0
			b.StartTimer()
		}
		if added, err := store.Record(b.Context(), batchOf(entries[used:used+size]...)); err != nil || added != size {
			b.Fatalf("%d, %v", added, err)
		}
		used += size
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
	b.StopTimer()
	_ = store.Close()
}

// BenchReads measures the reading of a store that holds the entries.
func BenchReads(b *testing.B, store application.Store, entries []application.Entry) {
	b.Helper()
	user, eventType := entries[len(entries)/2].Event.UserID(), entries[len(entries)/2].Event.EventType()
	recent := entries[len(entries)-len(entries)/20].Event.Timestamp()
	for _, v := range []struct {
		name  string
		query application.Query
	}{
		{"All", application.Query{}},
		{"User", application.Query{UserID: user}},
		{"Type", application.Query{EventType: eventType}},
		{"UserAndType", application.Query{UserID: user, EventType: eventType}},
		{"Recent", application.Query{From: recent}},
		{"Minute", application.Query{From: recent, To: recent.Add(time.Minute)}},
	} {
		for _, q := range []application.Query{v.query, descending(v.query)} {
			order := map[bool]string{false: "asc", true: "desc"}[q.Descending]
			b.Run("Stream"+v.name+"/"+order, func(b *testing.B) { benchStream(b, store, q) })
			q.Limit = 100
			b.Run("Page"+v.name+"/"+order, func(b *testing.B) { benchPages(b, store, q) })
		}
	}
	b.Run("EventByID", func(b *testing.B) {
		for i := range b.N {
			if _, err := store.Event(b.Context(), entries[i*7919%len(entries)].Event.ID()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func descending(q application.Query) application.Query {
	q.Descending = true
	return q
}

func benchStream(b *testing.B, store application.Store, q application.Query) {
	var bytes, events int64
	b.ReportAllocs()
	for range b.N {
		_, err := store.Query(b.Context(), q, func(event []byte) error {
			bytes += int64(len(event))
			events++
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(bytes / int64(b.N))
	b.ReportMetric(float64(events)/float64(b.N), "events/op")
}

// benchPages follows cursors, from the beginning again at the end.
func benchPages(b *testing.B, store application.Store, q application.Query) {
	for range b.N {
		next, err := store.Query(b.Context(), q, func([]byte) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		q.Cursor = next
	}
}
