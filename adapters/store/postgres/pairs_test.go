package postgres

import (
	"slices"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
)

// TestManyEventsOfAUser has users become such with many events, in the middle of a batch, while others do not, in a
// store that is opened again in between.
func TestManyEventsOfAUser(t *testing.T) {
	address := newSchema(t)
	s := openAt(t, address)
	defer func() { closeIt(t, s) }()
	var shares storetest.Shares
	fill := func(n int) {
		t.Helper()
		s.writer.sampling = sampling{every: 1, enough: 50}
		shares.Record(t, s, n)
		checkPairs(t, s, &shares)
	}
	fill(60)
	fill(500)
	closeIt(t, s)
	s = openAt(t, address)
	fill(2500)
	shares.Expire(t, s, 1700)
	checkPairs(t, s, &shares)
}

// checkPairs checks what queries of users and types give, and that the table pairs holds all events of its users and no
// others.
func checkPairs(t *testing.T, s *Store, shares *storetest.Shares) {
	t.Helper()
	shares.Check(t, s)
	paired := query[string](t, s, `SELECT user_id FROM users WHERE paired`)
	expected := shares.Count(func(user string) bool { return slices.Contains(paired, user) })
	if n := query[int](t, s, `SELECT count(*) FROM pairs`)[0]; n != expected || len(paired) == 0 && len(shares.Stored) > 500 {
		t.Errorf("%d pairs; want %d for %v", n, expected, paired)
	}
}
