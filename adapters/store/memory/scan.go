package memory

import (
	"context"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// scan is a query under way. Places in the order of events are int64, as they may lie one before the first event.
type scan struct {
	*snapshot
	resumption

	walk walker
	// from and to are nil where they do not select.
	from, to *stamp
	// looked counts the events that were looked at since the context was.
	looked int
}

// patience is how many events are looked at between two looks at the context.
const patience = 256

// newScan takes the snapshot. The cursor is checked before anything else.
func newScan(c *contents, q application.Query) (*scan, error) {
	view := c.view()
	r, err := resume(view, q)
	if err != nil {
		return nil, err
	}
	return &scan{
		snapshot:   view,
		resumption: r,
		walk:       newWalker(c, q),
		from:       bound(q.From),
		to:         bound(q.To),
		looked:     patience,
	}, nil
}

func bound(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	s := stampOf(t)
	return &s
}

// begin returns the place of the first event that may be selected.
func (s *scan) begin() int64 {
	if s.descending {
		return s.end - 1
	}
	return s.first
}

// beyond returns the place behind an event, in the direction of the query.
func (s *scan) beyond(seq uint32) int64 {
	if s.descending {
		return int64(seq) - 1
	}
	return int64(seq) + 1
}

// next returns the first selected event from a place on.
func (s *scan) next(ctx context.Context, at int64) (seq uint32, found bool, err error) {
	for at >= s.first && at < s.end {
		if s.looked++; s.looked > patience {
			if err := ctx.Err(); err != nil {
				return 0, false, err
			}
			s.looked = 0
		}
		seq, found = s.walk.next(uint32(at)) //nolint:gosec // at is the number of an event
		if !found || int64(seq) < s.first || int64(seq) >= s.end {
			return 0, false, nil
		}
		if s.timed() && s.barren(seq/zoneRows) {
			at = s.beyondZone(seq / zoneRows)
			continue
		}
		if s.selects(seq) {
			return seq, true, nil
		}
		at = s.beyond(seq)
	}
	return 0, false, nil
}

func (s *scan) timed() bool { return s.from != nil || s.to != nil }

// selects says whether the query selects the event as far as the walker has not seen to it.
func (s *scan) selects(seq uint32) bool {
	if s.splits == nil && !s.timed() {
		return true
	}
	r := s.row(seq)
	return s.remains(seq, r.partition()) && s.inTime(r.stamp(), r.stamp())
}

// inTime says whether anything between two times may be selected.
func (s *scan) inTime(first, last stamp) bool {
	return (s.from == nil || !last.before(*s.from)) && (s.to == nil || first.before(*s.to))
}

// barren says whether the zone has nothing at the times of the query. The last zone is unknown until it is full.
func (s *scan) barren(number uint32) bool {
	if number >= s.count/zoneRows {
		return false
	}
	z := s.zones.at(uint64(number))
	return !s.inTime(z.first, z.last)
}

func (s *scan) beyondZone(number uint32) int64 {
	if s.descending {
		return int64(number)*zoneRows - 1
	}
	return int64(number+1) * zoneRows
}
