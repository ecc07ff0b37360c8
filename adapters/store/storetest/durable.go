package storetest

import (
	"testing"

	"github.com/netstreamflow/netstreamflow/application"
)

// RunDurable checks what holds beside [Run] for a store that is not volatile. place returns a function that opens one and
// the same store, empty at first, each time it is called; RunDurable closes it in between.
func RunDurable(t *testing.T, place func(t *testing.T) (open func(t *testing.T) application.Store)) {
	t.Helper()
	t.Run("Reopen", func(t *testing.T) {
		open := place(t)
		s := &stage{T: t, store: open(t), log: newLog(4)}
		if s.store.Volatile() {
			t.Error("a durable store says that it is volatile")
		}
		for range 3 {
			s.fill(150)
			positions, err := s.store.Positions(s.Context(), topic)
			if err != nil {
				s.Fatal(err)
			}
			s.reopen(open)
			s.positions(topic, positions)
			s.survived()
		}
		if err := s.store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Run("CursorsSurvive", func(t *testing.T) {
		open := place(t)
		s := &stage{T: t, store: open(t), log: newLog(4)}
		s.cursorsSurvive(open)
		if err := s.store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func (s *stage) reopen(open func(t *testing.T) application.Store) {
	s.Helper()
	if err := s.store.Close(); err != nil {
		s.Fatalf("Close: %v", err)
	}
	s.store = open(s.T)
}

// survived checks that everything is there, in order, and known by its id.
func (s *stage) survived() {
	s.Helper()
	for _, q := range variants() {
		s.expect(q, selected(s.stored, q))
	}
	for _, e := range s.stored {
		s.hasEvent(e)
	}
	if added, err := s.store.Record(s.Context(), batchOf(s.stored...)); added != 0 || err != nil {
		s.Errorf("Record of what is there: %d, %v", added, err)
	}
}

// cursorsSurvive takes the first page of every query, opens the store again, stores more and goes on.
func (s *stage) cursorsSurvive(open func(t *testing.T) application.Store) {
	s.fill(100)
	type begun struct {
		query application.Query
		first []string
		count int
	}
	var all []begun
	for _, q := range variants() {
		q.Limit = 6
		b := begun{query: q, count: len(s.stored)}
		b.first, b.query.Cursor = s.page(q)
		if b.query.Cursor != "" {
			all = append(all, b)
		}
	}
	s.reopen(open)
	s.fill(50)
	for _, b := range all {
		want := s.stored
		if b.query.Descending {
			want = s.stored[:b.count]
		}
		got := append(b.first, s.pages(b.query)...)
		s.same(describe(b.query), got, texts(selected(want, b.query)))
	}
}
