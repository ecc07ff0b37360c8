package storetest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"sync"
	"testing"

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
	mu     sync.RWMutex
	events []domain.Event
	places map[domain.UUID]int
}

func newPlain() *plain { return &plain{places: make(map[domain.UUID]int)} }

func (s *plain) Record(ctx context.Context, entries []application.Entry) (added int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	before := len(s.events)
	for _, e := range entries {
		if _, known := s.places[e.Event.ID()]; !known {
			s.places[e.Event.ID()] = len(s.events)
			s.events = append(s.events, e.Event)
		}
	}
	return len(s.events) - before, nil
}

func (s *plain) Event(_ context.Context, id domain.UUID) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i, known := s.places[id]; known {
		return bytes.Clone(s.events[i].JSON()), nil
	}
	return nil, fmt.Errorf("event %s: %w", id, domain.ErrNotFound)
}

func (s *plain) Query(ctx context.Context, q application.Query, yield func([]byte) error) (next string, err error) {
	s.mu.RLock()
	events := s.events
	s.mu.RUnlock()
	from, err := position(q, len(events))
	if err != nil {
		return "", err
	}
	yielded, cursor := 0, ""
	for i := from; i >= 0 && i < len(events); i = step(q, i) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if !selects(q, events[i]) {
			continue
		}
		if q.Limit > 0 && yielded == q.Limit {
			return cursor, nil
		}
		if err := yield(events[i].JSON()); err != nil {
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
