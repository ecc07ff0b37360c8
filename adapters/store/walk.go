package store

import (
	"context"
	"math"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// What a [Walk] reads at a time, at most, before it is handed over.
const (
	ChunkEvents = 1024
	ChunkBytes  = 1 << 20
)

// Walk is a query on its way over a store that numbers its events in the order in which they are stored: it knows the number
// that comes next, holds what was read of it and not yet handed over, and counts up to the limit. It serves one goroutine at a
// time.
type Walk struct {
	Query application.Query
	// At is the number of the next event to look at, End that of the last one.
	At, End int64

	chunk  []byte
	events []place
	// yielded is how many events were handed over, last the number of the last one.
	yielded int
	last    int64
}

// place is the number of an event, and where its bytes end in the chunk.
type place struct {
	seq int64
	end int
}

// NewWalk returns a walk that begins at the query's cursor; one that is not of this kind of store is a [domain.ErrInvalid].
func NewWalk(q application.Query) (Walk, error) {
	w := Walk{Query: q}
	if q.Descending {
		w.At = math.MaxInt64
	}
	if q.Cursor == "" {
		return w, nil
	}
	cursor, err := ParseCursor(q.Cursor, q.Descending)
	if err != nil {
		return w, err
	}
	if cursor.Seq != w.At { // else it is beyond the last number that there can be
		w.At = cursor.Seq + w.Step()
	}
	return w, nil
}

// Between fixes the first and the last number that there is.
func (w *Walk) Between(first, last int64) {
	if w.Query.Descending {
		w.At, w.End = min(w.At, last), first
	} else {
		w.At, w.End = max(w.At, first), last
	}
}

// Timed says that the query has a time range.
func (w *Walk) Timed() bool { return !w.Query.From.IsZero() || !w.Query.To.IsZero() }

// Moment is a time as stores keep it: seconds since 1970, and the nanoseconds of the second.
type Moment struct{ Sec, Nano int64 }

func momentOf(t time.Time) Moment { return Moment{t.Unix(), int64(t.Nanosecond())} }

// Times returns the time range, from inclusive and to exclusive, the earliest and the latest moment where it has no end.
func (w *Walk) Times() (from, to Moment) {
	from, to = Moment{Sec: math.MinInt64}, Moment{Sec: math.MaxInt64}
	if !w.Query.From.IsZero() {
		from = momentOf(w.Query.From)
	}
	if !w.Query.To.IsZero() {
		to = momentOf(w.Query.To)
	}
	return from, to
}

// Zones returns a tree for the seconds of the time range.
func (w *Walk) Zones() *ZoneTree {
	from, to := w.Times()
	z := &ZoneTree{First: from.Sec, Last: to.Sec}
	if !w.Query.To.IsZero() && to.Nano == 0 {
		z.Last--
	}
	return z
}

// Step is the way from one number to the next.
func (w *Walk) Step() int64 {
	if w.Query.Descending {
		return -1
	}
	return 1
}

// Over says that no event is left to look at.
func (w *Walk) Over() bool {
	if w.Query.Descending {
		return w.At < w.End
	}
	return w.At > w.End
}

// Finish has no event left to look at.
func (w *Walk) Finish() { w.At = w.End + w.Step() }

// Bounds returns the numbers from At to the other one, the lower one first.
func (w *Walk) Bounds(other int64) (low, high int64) { return min(w.At, other), max(w.At, other) }

// Behind returns the number that follows the run.
func (w *Walk) Behind(run Run) int64 {
	if w.Query.Descending {
		return run.From - 1
	}
	return run.To + 1
}

// Room returns how many more events, and bytes, the chunk may take: with a limit, one event more than that, which tells whether
// more follow.
func (w *Walk) Room() (events, bytes int) {
	bytes = ChunkBytes - len(w.chunk)
	if bytes <= 0 {
		return 0, 0
	}
	events = ChunkEvents - len(w.events)
	if w.Query.Limit > 0 {
		events = min(events, w.Query.Limit+1-w.yielded-len(w.events))
	}
	return events, bytes
}

// HasRoom says whether the chunk may take another event.
func (w *Walk) HasRoom() bool {
	events, _ := w.Room()
	return events > 0
}

// Add puts an event into the chunk, and goes behind it. It returns false for one that does not follow those before it.
func (w *Walk) Add(seq int64, event []byte) (follows bool) {
	if n := len(w.events); n > 0 && (seq > w.events[n-1].seq) == w.Query.Descending {
		return false
	}
	w.chunk = append(w.chunk, event...)
	w.events = append(w.events, place{seq, len(w.chunk)})
	w.At = seq + w.Step()
	return true
}

// Go calls fill, which reads the next chunk, and yields what it has read, until the walk is over or the limit is reached. next
// is then the cursor, where more follow.
func (w *Walk) Go(ctx context.Context, fill func() error, yield func(event []byte) error) (next string, err error) {
	for {
		w.chunk, w.events = w.chunk[:0], w.events[:0]
		if err := fill(); err != nil {
			return "", err
		}
		if next, err := w.handOver(ctx, yield); err != nil || next != "" {
			return next, err
		}
		if w.Over() {
			return "", nil
		}
	}
}

// handOver yields the chunk. At the limit it returns the cursor, when more follow.
func (w *Walk) handOver(ctx context.Context, yield func(event []byte) error) (next string, err error) {
	begin := 0
	for _, e := range w.events {
		if w.Query.Limit > 0 && w.yielded == w.Query.Limit {
			return Cursor{Descending: w.Query.Descending, Seq: w.last}.String(), nil
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := yield(w.chunk[begin:e.end:e.end]); err != nil {
			return "", err
		}
		begin = e.end
		w.yielded++
		w.last = e.seq
	}
	return "", nil
}
