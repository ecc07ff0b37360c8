package postgres

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestManyEventsOfAUser has users become such with many events, in the middle of a batch, while others do not, in a
// store that is opened again in between.
func TestManyEventsOfAUser(t *testing.T) {
	address := newSchema(t)
	s := openAt(t, address)
	defer func() { closeIt(t, s) }()
	var stored []application.Entry
	fill := func(n int) {
		t.Helper()
		s.writer.sampling = sampling{every: 1, enough: 50}
		entries := pairEntries(t, len(stored), n)
		record(t, s, entries...)
		stored = append(stored, entries...)
		checkPairs(t, s, stored)
	}
	fill(60)
	fill(500)
	closeIt(t, s)
	s = openAt(t, address)
	fill(2500)
	removed, err := s.Expire(t.Context(), stored[1700].Accepted)
	if removed != 1700 || err != nil {
		t.Fatalf("Expire: %d, %v", removed, err)
	}
	stored = stored[1700:]
	checkPairs(t, s, stored)
}

// pairEntries makes entries of users whose shares are a half, a quarter and so on.
func pairEntries(t *testing.T, first, n int) (entries []application.Entry) {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := first; i < first+n; i++ {
		user := 0
		for rest := i + 1; rest%2 == 0; rest /= 2 {
			user++
		}
		e, err := domain.Draft{
			UserID: fmt.Sprint("user-", user), EventType: fmt.Sprint("type-", i*i%7%3),
			Timestamp: start.Add(time.Duration(i) * time.Second), Metadata: fmt.Appendf(nil, `{"n":%d}`, i),
		}.Event(start)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, application.Entry{Event: e, Accepted: e.Timestamp()})
	}
	return entries
}

// checkPairs checks what queries of users and types give, and that the table pairs holds all events of its users and no
// others.
func checkPairs(t *testing.T, s *Store, stored []application.Entry) {
	t.Helper()
	paired := query[string](t, s, `SELECT user_id FROM users WHERE paired`)
	expected := 0
	for user := range 9 {
		q := application.Query{UserID: fmt.Sprint("user-", user)}
		for kind := range 4 {
			q.EventType = fmt.Sprint("type-", kind)
			for i := range 4 {
				q.Descending, q.From = i%2 == 1, time.Time{}
				if i/2 == 1 {
					q.From = stored[len(stored)/2].Event.Timestamp()
				}
				checkQuery(t, s, q, stored)
			}
		}
		if slices.Contains(paired, q.UserID) {
			expected += count(stored, func(e domain.Event) bool { return e.UserID() == q.UserID })
		}
	}
	if n := query[int](t, s, `SELECT count(*) FROM pairs`)[0]; n != expected || len(paired) == 0 && len(stored) > 500 {
		t.Errorf("%d pairs; want %d for %v", n, expected, paired)
	}
}

func checkQuery(t *testing.T, s *Store, q application.Query, stored []application.Entry) {
	t.Helper()
	var want, got []string
	for _, e := range stored {
		if e.Event.UserID() == q.UserID && e.Event.EventType() == q.EventType && !e.Event.Timestamp().Before(q.From) {
			want = append(want, string(e.Event.JSON()))
		}
	}
	if q.Descending {
		slices.Reverse(want)
	}
	_, err := s.Query(t.Context(), q, func(event []byte) error {
		got = append(got, string(event))
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v: %d events, %v; want %d", q, len(got), err, len(want))
	}
}

func count(entries []application.Entry, holds func(domain.Event) bool) (n int) {
	for _, e := range entries {
		if holds(e.Event) {
			n++
		}
	}
	return n
}
