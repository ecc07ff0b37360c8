package memory

import (
	"fmt"
	"maps"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// resumption is what of a snapshot is to come for a query, given its cursor.
type resumption struct {
	snap       *snapshot
	descending bool
	// resumed is the cursor, from which the query goes on.
	resumed cursor
	// What is to come lies at first and up to before end.
	first, end int64
	// splits holds for each partition the first event behind the cursor's prefix of it: ascending, what is from there on is
	// to come, descending, what is before. It is nil without a cursor, when all is to come.
	splits []uint32
}

func resume(s *snapshot, q application.Query) (resumption, error) {
	r := resumption{snap: s, descending: q.Descending, end: int64(s.count)}
	if q.Cursor == "" {
		return r, nil
	}
	var err error
	if r.resumed, err = parseCursor(q.Cursor, q.Descending); err != nil {
		return resumption{}, err
	}
	if q.Descending {
		if err := s.reaches(r.resumed); err != nil {
			return resumption{}, err
		}
	}
	r.split()
	return r, nil
}

// reaches says whether the snapshot has come as far as the cursor in every partition. If it has not (the view is being
// filled anew, or this instance is behind the one that made the cursor), the events in between would be passed over for
// good. Ascending, they are still ahead.
func (s *snapshot) reaches(c cursor) error {
	behind := maps.Clone(c.last)
	for _, p := range s.partitions {
		if last, ok := p.before(s.count); ok && last >= behind[p.number] {
			delete(behind, p.number)
		}
	}
	if len(behind) > 0 {
		return fmt.Errorf("the cursor is ahead of what has been read from the log so far: %w", domain.ErrUnavailable)
	}
	return nil
}

// split finds where each partition's prefix ends, and with that the span of what is to come.
func (r *resumption) split() {
	r.splits = make([]uint32, len(r.snap.partitions))
	first, end := uint32(none), uint32(0)
	for i, p := range r.snap.partitions {
		if last, ok := r.resumed.last[p.number]; ok {
			r.splits[i] = p.behind(last)
			end = max(end, p.upTo(last))
		}
		first = min(first, r.splits[i])
	}
	if r.descending {
		r.end = min(r.end, int64(end))
		return
	}
	r.first = int64(first)
}

// remains says whether the event of the partition is to come as far as the cursor goes.
func (r *resumption) remains(seq uint32, partition int) bool {
	return r.splits == nil || (seq < r.splits[partition]) == r.descending
}

// cursor returns the cursor for going on at a place: descending it is the next event to look at, as ascending.
func (r *resumption) cursor(at int64) cursor {
	next := cursor{descending: r.descending, last: make(map[int32]int64)}
	if r.descending {
		at++
	} else if r.resumed.last != nil {
		maps.Copy(next.last, r.resumed.last)
	}
	for _, p := range r.snap.partitions {
		offset, ok := p.before(uint32(at)) //nolint:gosec // between 0 and the count of events
		if !ok {
			continue
		}
		before, resumed := r.resumed.last[p.number]
		switch {
		case !resumed && r.descending && r.splits != nil:
			continue // nothing of it was to come
		case resumed && r.descending:
			offset = min(offset, before)
		case resumed:
			offset = max(offset, before)
		}
		next.last[p.number] = offset
	}
	return next
}
