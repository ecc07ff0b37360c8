package storetest

import (
	"errors"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// testExpire removes in steps, beside readers that are under way.
func testExpire(s *stage) {
	store, ok := s.store.(application.Expirer)
	if !ok {
		return // the store keeps everything
	}
	s.expire(store, epoch, 0)
	s.fill(3000)
	page := application.Query{Limit: 50}
	_, page.Cursor = s.page(page)
	before, err := s.store.Positions(s.Context(), topic)
	if err != nil {
		s.Fatal(err)
	}
	s.expire(store, epoch, 0)
	s.expire(store, epoch.Add(time.Second), 1)
	s.expire(store, epoch.Add(1234*time.Second), 1233)
	s.positions(topic, before)
	first, _ := s.page(page)
	s.same("a page whose cursor is among what was removed", first, texts(s.stored[:page.Limit]))
	for _, q := range variants() {
		s.expect(q, selected(s.stored, q))
	}
	s.fill(100)
	s.expire(store, epoch.Add(24*time.Hour), len(s.stored))
	s.expect(application.Query{}, nil)
	s.fill(100)
	s.expect(application.Query{}, s.stored)
}

// testExpireInOrder checks that nothing is removed from behind an event that stays.
func testExpireInOrder(s *stage) {
	store, ok := s.store.(application.Expirer)
	if !ok {
		return // the store keeps everything
	}
	entries := s.log.entries(10)
	entries[5].Accepted = epoch.Add(time.Hour)
	s.record(entries...)
	s.expire(store, epoch.Add(time.Minute), 5)
	s.expect(application.Query{}, s.stored)
}

// testExpireDuringQuery removes from inside a query, which must neither wait for it nor see it.
func testExpireDuringQuery(s *stage) {
	store, ok := s.store.(application.Expirer)
	if !ok {
		return // the store keeps everything
	}
	s.fill(2000)
	want, count := texts(s.stored), 0
	_, err := s.store.Query(s.Context(), application.Query{}, func(event []byte) error {
		if count == 10 {
			s.expire(store, epoch.Add(1500*time.Second), 1500)
		}
		if count >= len(want) || string(event) != want[count] {
			return errors.New("another event than was there when the query began")
		}
		count++
		return nil
	})
	if err != nil || count != len(want) {
		s.Errorf("%d of %d events: %v", count, len(want), err)
	}
	s.expect(application.Query{}, s.stored)
}

// expire removes the first events, of which there must be so many.
func (s *stage) expire(store application.Expirer, before time.Time, want int) {
	s.Helper()
	removed, err := store.Expire(s.Context(), before)
	if err != nil || removed != want {
		s.Fatalf("Expire before %s: %d, %v; want %d", before, removed, err, want)
	}
	for _, e := range s.stored[:want] {
		if _, err := s.store.Event(s.Context(), e.Event.ID()); !errors.Is(err, domain.ErrNotFound) {
			s.Fatalf("a removed event: %v", err)
		}
	}
	s.stored = s.stored[want:]
}
