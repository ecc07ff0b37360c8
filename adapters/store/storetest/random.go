package storetest

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// reading is a client that follows cursors while other things happen.
type reading struct {
	query application.Query
	// at is the index in what is stored from which its next page comes, in its direction.
	at int
}

// testRandom lets a seeded generator record, read and follow cursors, and compares every answer with what a plain slice
// gives.
func testRandom(s *stage) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		var open []*reading
		for range 250 {
			switch r.IntN(4) {
			case 0:
				s.recordRandom(r)
			case 1:
				q := randomQuery(r, len(s.stored))
				s.expect(q, selected(s.stored, q))
			case 2:
				q := randomQuery(r, len(s.stored))
				q.Limit = 1 + r.IntN(30)
				begin := &reading{query: q}
				if q.Descending {
					begin.at = len(s.stored) - 1
				}
				open = s.readOn(begin, open)
			default:
				if len(open) > 0 {
					i := r.IntN(len(open))
					next := open[i]
					open = s.readOn(next, slices.Delete(open, i, i+1))
				}
			}
		}
		if s.Failed() {
			s.Fatalf("seed %d", seed)
		}
	}
}

// recordRandom stores a batch that has some events twice, some from before, and some out of the order of time.
func (s *stage) recordRandom(r *rand.Rand) {
	var batch, fresh []application.Entry
	for range r.IntN(40) {
		switch {
		case r.IntN(8) == 0 && len(s.stored) > 0:
			known := s.stored[r.IntN(len(s.stored))].Event
			batch = append(batch, application.Entry{Event: known, Position: s.log.position(known.UserID())})
		case r.IntN(8) == 0 && len(fresh) > 0:
			batch = append(batch, fresh[r.IntN(len(fresh))])
		default:
			e := s.log.entry(domain.Draft{
				UserID:    userOf(int(r.ExpFloat64() * 3)),
				EventType: typeOf(int(r.ExpFloat64() * 2)),
				Timestamp: epoch.Add(time.Duration(len(s.stored)+r.IntN(50)) * time.Second),
			})
			batch, fresh = append(batch, e), append(fresh, e)
		}
	}
	if added, err := s.store.Record(s.Context(), batchOf(batch...)); err != nil || added != len(fresh) {
		s.Fatalf("Record: %d, %v; %d of %d are new", added, err, len(fresh), len(batch))
	}
	s.stored = append(s.stored, fresh...)
}

func randomQuery(r *rand.Rand, stored int) application.Query {
	q := application.Query{Descending: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		q.UserID = userOf(r.IntN(15))
	}
	if r.IntN(2) == 0 {
		q.EventType = typeOf(r.IntN(9))
	}
	if r.IntN(3) == 0 {
		q.From = epoch.Add(time.Duration(r.IntN(stored+60)) * time.Second)
	}
	if r.IntN(3) == 0 {
		q.To = epoch.Add(time.Duration(r.IntN(stored+60)) * time.Second)
	}
	return q
}

// readOn reads the next page of a client and puts it among the open ones again if more follow.
func (s *stage) readOn(c *reading, open []*reading) []*reading {
	s.Helper()
	want, at := c.page(s.stored)
	got, next := s.page(c.query)
	s.same(describe(c.query), got, texts(want))
	if (next != "") != (at >= 0) {
		s.Fatalf("%s: next is %q, but the next page begins at %d", describe(c.query), next, at)
	}
	if next == "" {
		return open
	}
	c.query.Cursor, c.at = next, at
	return append(open, c)
}

// page returns what the client's next page should be, and where the one after it begins, -1 if there is none.
func (c *reading) page(stored []application.Entry) (page []application.Entry, next int) {
	step := 1
	if c.query.Descending {
		step = -1
	}
	next = c.at
	for i := c.at; i >= 0 && i < len(stored); i += step {
		if !selects(c.query, stored[i].Event) {
			continue
		}
		if len(page) == c.query.Limit {
			return page, next
		}
		page, next = append(page, stored[i]), i+step
	}
	return page, -1
}
