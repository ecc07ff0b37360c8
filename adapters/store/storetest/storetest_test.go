package storetest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// The suites ask for nothing that a plain slice behind a lock does not give.
func TestSuites(t *testing.T) {
	storetest.Run(t, func(*testing.T) application.Store { return newPlain() })
	storetest.RunDurable(t, func(*testing.T) func(*testing.T) application.Store {
		s := newPlain()
		return func(*testing.T) application.Store { return s }
	})
}

// plain is the least that a store can be. Its cursor is how many events have been passed over.
type plain struct {
	mu      sync.RWMutex
	entries []application.Entry
	// expired is how many of them are no more there.
	expired int
	places  map[domain.UUID]int
	taken   map[string]map[int32]int64
}

func newPlain() *plain {
	return &plain{places: make(map[domain.UUID]int), taken: make(map[string]map[int32]int64)}
}

func (s *plain) Record(ctx context.Context, b application.Batch) (added int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	before := len(s.entries)
	for _, e := range b.Entries {
		if _, known := s.places[e.Event.ID()]; !known {
			s.places[e.Event.ID()] = len(s.entries)
			s.entries = append(s.entries, e)
		}
	}
	if s.taken[b.Topic] == nil {
		s.taken[b.Topic] = make(map[int32]int64)
	}
	maps.Copy(s.taken[b.Topic], b.Taken)
	return len(s.entries) - before, nil
}

func (s *plain) Positions(_ context.Context, topic string) (map[int32]int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.taken[topic]), nil
}

func (s *plain) Event(_ context.Context, id domain.UUID) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i, known := s.places[id]; known {
		return bytes.Clone(s.entries[i].Event.JSON()), nil
	}
	return nil, fmt.Errorf("event %s: %w", id, domain.ErrNotFound)
}

func (s *plain) Query(ctx context.Context, q application.Query, yield func([]byte) error) (next string, err error) {
	s.mu.RLock()
	entries, expired := s.entries, s.expired
	s.mu.RUnlock()
	from, err := position(q, len(entries))
	if err != nil {
		return "", err
	}
	yielded, cursor := 0, ""
	if !q.Descending {
		from = max(from, expired)
	}
	for i := from; i >= expired && i < len(entries); i = step(q, i) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if !selects(q, entries[i].Event) {
			continue
		}
		if q.Limit > 0 && yielded == q.Limit {
			return cursor, nil
		}
		if err := yield(entries[i].Event.JSON()); err != nil {
			return "", err
		}
		yielded, cursor = yielded+1, encode(q, step(q, i))
	}
	return "", nil
}

func step(q application.Query, i int) int {
	if q.Descending {
		return i - 1
	}
	return i + 1
}

func selects(q application.Query, e domain.Event) bool {
	return (q.UserID == "" || e.UserID() == q.UserID) && (q.EventType == "" || e.EventType() == q.EventType) &&
		(q.From.IsZero() || !e.Timestamp().Before(q.From)) && (q.To.IsZero() || e.Timestamp().Before(q.To))
}

func encode(q application.Query, i int) string {
	text := fmt.Sprintf("%t:%d", q.Descending, i)
	return hex.EncodeToString(fmt.Appendf(nil, "%s:%08x", text, crc32.ChecksumIEEE([]byte(text))))
}

// position returns where the query begins among n events.
func position(q application.Query, n int) (i int, err error) {
	if q.Cursor == "" && q.Descending {
		return n - 1, nil
	}
	if q.Cursor == "" {
		return 0, nil
	}
	var descending bool
	text, _ := hex.DecodeString(q.Cursor)
	_, _ = fmt.Sscanf(string(text), "%t:%d", &descending, &i)
	if q.Descending != descending || encode(q, i) != q.Cursor {
		return 0, domain.Invalid("/cursor", "is not good")
	}
	return i, nil
}

func (s *plain) Volatile() bool             { return false }
func (s *plain) Ping(context.Context) error { return nil }
func (s *plain) Close() error               { return nil }

func (s *plain) Expire(_ context.Context, before time.Time) (removed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.expired < len(s.entries) && s.entries[s.expired].Accepted.Before(before) {
		delete(s.places, s.entries[s.expired].Event.ID())
		s.expired++
		removed++
	}
	return removed, nil
}
