package sqlite

import (
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
)

// TestManyEventsOfAUser has users become such with many events, in the middle of a batch, while others do not. After a
// failure, and in a store that was opened again, the writer still knows who they are.
func TestManyEventsOfAUser(t *testing.T) {
	folder := memoryFolder(t)
	s := openIn(t, folder)
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
	if err := s.writer.transact(t.Context(), func() error { return errDriver }); err == nil {
		t.Fatal("a failure is not told")
	}
	fill(100)
	closeIt(t, s)
	s = openIn(t, folder)
	fill(2500)
	shares.Expire(t, s, 1700)
	checkPairs(t, s, &shares)
}

// checkPairs checks what queries of users and types give, and that the table pairs holds all events of its users and no
// others.
func checkPairs(t *testing.T, s *Store, shares *storetest.Shares) {
	t.Helper()
	shares.Check(t, s)
	expected := shares.Count(func(user string) bool { return s.writer.paired[user] })
	row, err := s.writer.integers(`SELECT count(*) FROM pairs`)
	if err != nil || int(row[0]) != expected {
		t.Errorf("%d pairs, %v; want %d for %v", row[0], err, expected, s.writer.paired)
	}
}
