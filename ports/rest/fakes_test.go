package rest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// fakeLog takes events straight to its store, unless told otherwise.
type fakeLog struct {
	store *fakeStore
	// publish, if set, is asked first; events it has no error for are taken.
	publish func(ctx context.Context, events []domain.Event) error
	// spooled is how many of them are said to be spooled.
	spooled int

	mu    sync.Mutex
	calls int
}

func (l *fakeLog) Publish(ctx context.Context, events []domain.Event) (application.Receipt, error) {
	l.mu.Lock()
	l.calls++
	l.mu.Unlock()
	var err error
	if l.publish != nil {
		err = l.publish(ctx, events)
	}
	each, partly := errors.AsType[application.PublishError](err)
	for i, e := range events {
		if err == nil || partly && each[i] == nil {
			l.store.add(e)
		}
	}
	return application.Receipt{Spooled: l.spooled}, err
}

func (l *fakeLog) published() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// fakeStore holds events in the order they came in. A cursor is "after-" and the place of the last event.
type fakeStore struct {
	mu     sync.Mutex
	events []domain.Event
	// fail is the error of every question.
	fail error
	// stream, if set, answers queries instead.
	stream func(ctx context.Context, q application.Query, yield func([]byte) error) (string, error)
	asked  []application.Query
}

func (s *fakeStore) add(e domain.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.events, func(old domain.Event) bool { return old.ID() == e.ID() }) {
		s.events = append(s.events, e)
	}
}

func (s *fakeStore) Event(_ context.Context, id domain.UUID) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.ID() == id && s.fail == nil {
			return e.JSON(), nil
		}
	}
	if s.fail != nil {
		return nil, s.fail
	}
	return nil, domain.ErrNotFound
}

func (s *fakeStore) Query(ctx context.Context, q application.Query, yield func([]byte) error) (string, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q)
	found, next, err := s.selected(q)
	stream := s.stream
	s.mu.Unlock()
	if stream != nil {
		return stream(ctx, q, yield)
	}
	if err != nil {
		return "", err
	}
	for _, e := range found {
		if err := yield(e.JSON()); err != nil {
			return "", err
		}
	}
	return next, nil
}

func (s *fakeStore) selected(q application.Query) (found []domain.Event, next string, err error) {
	if s.fail != nil {
		return nil, "", s.fail
	}
	start := 0
	if q.Cursor != "" {
		after, ok := strings.CutPrefix(q.Cursor, "after-")
		if start, err = strconv.Atoi(after); !ok || err != nil {
			return nil, "", domain.Invalid("/cursor", "is not a cursor of an earlier answer")
		}
	}
	events := slices.Clone(s.events)
	if q.Descending {
		slices.Reverse(events)
	}
	for i, e := range events {
		if i < start || !matches(q, e) {
			continue
		}
		if q.Limit > 0 && len(found) == q.Limit {
			return found, "after-" + strconv.Itoa(start), nil
		}
		found = append(found, e)
		start = i + 1
	}
	return found, "", nil
}

func matches(q application.Query, e domain.Event) bool {
	return (q.UserID == "" || q.UserID == e.UserID()) && (q.EventType == "" || q.EventType == e.EventType()) &&
		(q.From.IsZero() || !e.Timestamp().Before(q.From)) && (q.To.IsZero() || e.Timestamp().Before(q.To))
}

// lastQuery is what the store was asked last.
func (s *fakeStore) lastQuery() application.Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[len(s.asked)-1]
}

// stored lists the events as maps.
func (s *fakeStore) stored() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]map[string]any, len(s.events))
	for i, e := range s.events {
		_ = json.Unmarshal(e.JSON(), &all[i])
	}
	return all
}
