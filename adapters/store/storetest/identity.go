package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func testDedupe(s *stage) {
	s.fill(20)
	fresh := s.log.entries(3)
	first, second, third := fresh[0], fresh[1], fresh[2]
	// The same id with another content is the same event: the first one stays.
	other := s.log.entry(domain.Draft{ID: first.Event.ID(), UserID: "somebody else", EventType: "other"})
	again := application.Entry{Event: first.Event, Position: s.log.position(first.Event.UserID())}

	batches := []struct {
		name    string
		entries []application.Entry
		want    int
	}{
		{"all in the store", s.stored, 0},
		{"one in the batch", []application.Entry{first, second, again, other, second}, 2},
		{"in the store, with another content", []application.Entry{other}, 0},
		{"one new among known ones", []application.Entry{s.stored[3], third, s.stored[4], third}, 1},
		{"delivered again", []application.Entry{first, second, third}, 0},
	}
	for _, b := range batches {
		added, err := s.store.Record(s.Context(), batchOf(b.entries...))
		if added != b.want || err != nil {
			s.Errorf("%s: %d, %v; want %d", b.name, added, err, b.want)
		}
	}
	s.stored = append(s.stored, first, second, third)
	s.expect(application.Query{}, s.stored)
	s.expect(application.Query{UserID: "somebody else"}, nil)
	s.expect(application.Query{EventType: "other"}, nil)
	s.hasEvent(first)
}

// testAllOrNone provokes a failure: the context is done. What is kept of it would be seen, or would not be new.
func testAllOrNone(s *stage) {
	s.fill(10)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	fresh := s.log.entries(5)
	if added, err := s.store.Record(ctx, batchOf(fresh...)); err == nil || added != 0 {
		s.Errorf("Record with a cancelled context: %d, %v", added, err)
	}
	s.expect(application.Query{}, s.stored)
	s.record(fresh...)
	s.expect(application.Query{}, s.stored)
}

func testEventByID(s *stage) {
	s.missing(domain.NewUUID(epoch))
	s.fill(300)
	for _, e := range s.stored {
		s.hasEvent(e)
	}
	s.missing(domain.NewUUID(time.Now()))
	s.missing(domain.UUID{})
	near := s.stored[0].Event.ID()
	near[15] ^= 1
	s.missing(near)
}

func (s *stage) missing(id domain.UUID) {
	s.Helper()
	got, err := s.store.Event(s.Context(), id)
	if !errors.Is(err, domain.ErrNotFound) || errors.Is(err, domain.ErrUnavailable) || len(got) > 0 {
		s.Errorf("event %s, which is not there: %q, %v", id, got, err)
	}
}
