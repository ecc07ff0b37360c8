package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Shares is a store whose users have a half of the events, a quarter and so on, as it takes some to be one with many.
type Shares struct {
	// Stored is what is in the store, in order.
	Stored []application.Entry

	log *log
}

// users is how many users the events of [Shares] may be of.
const users = 13

// Record stores n more events.
func (h *Shares) Record(t *testing.T, s application.Store, n int) {
	t.Helper()
	if h.log == nil {
		h.log = newLog(1)
	}
	first := len(h.Stored)
	for i := first; i < first+n; i++ {
		user := 0
		for rest := i + 1; rest%2 == 0; rest /= 2 {
			user++
		}
		h.Stored = append(h.Stored, h.log.entry(domain.Draft{
			UserID: userOf(user), EventType: typeOf(i * i % 7 % 3), Metadata: fmt.Appendf(nil, `{"n":%d}`, i),
		}))
	}
	if added, err := s.Record(t.Context(), batchOf(h.Stored[first:]...)); err != nil || added != n {
		t.Fatalf("Record of %d: %d, %v", n, added, err)
	}
}

// Expire removes the n oldest.
func (h *Shares) Expire(t *testing.T, s application.Expirer, n int) {
	t.Helper()
	if removed, err := s.Expire(t.Context(), h.Stored[n].Accepted); removed != n || err != nil {
		t.Fatalf("Expire of %d: %d, %v", n, removed, err)
	}
	h.Stored = h.Stored[n:]
}

// Check queries the events of each user and type.
func (h *Shares) Check(t *testing.T, s application.Store) {
	t.Helper()
	middle := h.Stored[len(h.Stored)/2].Event.Timestamp()
	on := &stage{T: t, store: s}
	for user := range users {
		for kind := range 4 {
			for _, from := range []time.Time{{}, middle} {
				for _, descending := range []bool{false, true} {
					q := application.Query{UserID: userOf(user), EventType: typeOf(kind), From: from, Descending: descending}
					on.expect(q, selected(h.Stored, q))
				}
			}
		}
	}
}

// Count is how many events there are of those users that many tells.
func (h *Shares) Count(many func(user string) bool) (n int) {
	for _, e := range h.Stored {
		if many(e.Event.UserID()) {
			n++
		}
	}
	return n
}
