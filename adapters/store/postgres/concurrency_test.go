package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestTwoInstances has two stores write into one schema at once, partly the same events, while readers follow cursors, who
// may neither miss an event nor see one twice, and while what is old is removed by both.
func TestTwoInstances(t *testing.T) {
	address := newSchema(t)
	instances := []*Store{openAt(t, address), openAt(t, address)}
	for _, s := range instances {
		defer closeIt(t, s)
		s.writer.sampling = sampling{every: 4, enough: 10}
	}
	const batches, size = 60, 25
	var writing, reading sync.WaitGroup
	var added atomic.Int64
	over := make(chan struct{})
	for i, s := range instances {
		for _, partition := range []int{i, 7} { // 7 is written by both
			writing.Go(func() {
				for b := range batches {
					n, err := s.Record(t.Context(), sharedBatch(t, partition, b, size))
					if err != nil {
						t.Errorf("Record: %v", err)
					}
					added.Add(int64(n))
				}
			})
		}
		reading.Go(func() { followAll(t, s, over, 3*batches*size) })
	}
	writing.Wait()
	close(over)
	reading.Wait()
	if added.Load() != 3*batches*size {
		t.Errorf("%d were new, want %d", added.Load(), 3*batches*size)
	}
	checkHead(t, instances[0])
}

// sharedBatch is the b-th one of a partition, the same each time.
func sharedBatch(t *testing.T, partition, b, size int) application.Batch {
	batch := application.Batch{Topic: "events", Taken: map[int32]int64{int32(partition): int64((b + 1) * size)}}
	for i := b * size; i < (b+1)*size; i++ {
		at := time.Unix(int64(i), 0)
		e, err := domain.Draft{
			ID: domain.NamedUUID(fmt.Sprint(partition, " ", i)), UserID: fmt.Sprint("user-", partition), EventType: fmt.Sprint("type-", i%3),
			Timestamp: at, Metadata: fmt.Appendf(nil, `{"n":%d}`, i),
		}.Event(at)
		if err != nil {
			t.Error(err)
		}
		batch.Entries = append(batch.Entries, application.Entry{Event: e, Accepted: at})
	}
	return batch
}

// followAll takes pages until there is nothing more to come, and checks that every event came once, and that what a page
// held when it was not yet full is how it begins later.
func followAll(t *testing.T, s *Store, over chan struct{}, want int) {
	seen := make(map[string]bool)
	q := application.Query{Limit: 10}
	var partial []string
	for ended := false; ; {
		select {
		case <-over:
			ended = true
		default:
		}
		var page []string
		next, err := s.Query(t.Context(), q, func(event []byte) error { page = append(page, string(event)); return nil })
		if err != nil || len(page) < len(partial) || !slices.Equal(page[:len(partial)], partial) {
			t.Errorf("a page of %d that had %d before: %v", len(page), len(partial), err)
			return
		}
		if partial = page; next == "" && !ended {
			continue
		}
		for _, event := range page {
			if seen[event] {
				t.Errorf("again: %s", event)
			}
			seen[event] = true
		}
		if q.Cursor, partial = next, nil; next == "" {
			break
		}
	}
	if len(seen) != want {
		t.Errorf("%d events, want %d", len(seen), want)
	}
}

// checkHead checks that numbers are used up by new events only, apart from batches with both, and go up in every partition.
func checkHead(t *testing.T, s *Store) {
	t.Helper()
	rows := query[string](t, s, `SELECT user_id || ' ' || convert_from(json, 'UTF8') FROM events ORDER BY seq`)
	last := make(map[string]int)
	for _, row := range rows {
		user, event, _ := strings.Cut(row, " ")
		var content struct{ Metadata struct{ N int } }
		if err := json.Unmarshal([]byte(event), &content); err != nil {
			t.Fatal(err)
		}
		if n := content.Metadata.N; n < last[user] {
			t.Errorf("%s: %d behind %d", user, n, last[user])
		} else {
			last[user] = n
		}
	}
	if next := query[int](t, s, `SELECT next::int FROM head`)[0]; next != len(rows)+1 {
		t.Errorf("the next number is %d after %d events", next, len(rows))
	}
}

// TestExpireTogether has two instances remove at once, while one of them records.
func TestExpireTogether(t *testing.T) {
	address := newSchema(t)
	instances := []*Store{openAt(t, address), openAt(t, address)}
	for _, s := range instances {
		defer closeIt(t, s)
		s.writer.sampling = sampling{every: 1, enough: 100}
	}
	const batches, size = 20, 400
	for b := range batches {
		if _, err := instances[0].Record(t.Context(), sharedBatch(t, 0, b, size)); err != nil {
			t.Fatal(err)
		}
	}
	var running sync.WaitGroup
	var removed atomic.Int64
	for _, s := range instances {
		running.Go(func() {
			n, err := s.Expire(t.Context(), time.Unix(batches*size-100, 0))
			if err != nil {
				t.Errorf("Expire: %v", err)
			}
			removed.Add(int64(n))
		})
	}
	if _, err := instances[0].Record(t.Context(), sharedBatch(t, 1, 0, size)); err != nil {
		t.Error(err)
	}
	running.Wait()
	if removed.Load() != batches*size-100 {
		t.Errorf("removed %d", removed.Load())
	}
	for text, want := range map[string]int{
		`SELECT count(*) FROM events`: size + 100,
		`SELECT count(*) FROM pairs`:  size + 100,
		`SELECT count(*) FROM events e LEFT JOIN pairs p ON p.seq = e.seq AND p.user_id = e.user_id WHERE p.seq IS NULL`: 0,
	} {
		if n := query[int](t, instances[1], text)[0]; n != want {
			t.Errorf("%s: %d, want %d", text, n, want)
		}
	}
}

// TestStalledWriter has an instance stop in the middle of a transaction: the server ends it after a while, and until then
// others say that they cannot write.
func TestStalledWriter(t *testing.T) {
	address := newSchema(t)
	s, other := openAt(t, address), openAt(t, address)
	defer closeIt(t, s)
	defer closeIt(t, other)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := other.writer.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, statement := range []string{`SET idle_in_transaction_session_timeout = '3s'`, `BEGIN`, lockHead} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.patience = time.Second
	batch := sharedBatch(t, 0, 0, 10)
	if _, err := s.Record(t.Context(), batch); !errors.Is(err, domain.ErrUnavailable) || s.Ping(t.Context()) == nil {
		t.Errorf("Record beside a stalled one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := s.Record(ctx, batch); !errors.Is(err, context.Canceled) {
		t.Errorf("Record whose caller gives up: %v", err)
	}
	if got := follow(t, s, application.Query{Limit: 1}); got != 0 {
		t.Errorf("%d events", got)
	}
	await(t, func() bool { _, err = s.Record(t.Context(), batch); return err == nil })
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
