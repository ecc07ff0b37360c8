package memory

import (
	"slices"

	"github.com/netstreamflow/netstreamflow/application"
)

// walker finds events in one direction. What it is asked for must never go back.
type walker interface {
	// next returns the nearest event from seq on, itself included, and false when there is none.
	next(seq uint32) (uint32, bool)
}

// newWalker returns the walker of the events of the query's user and type. It may meet events that are not in a snapshot.
func newWalker(c *contents, q application.Query) walker {
	var lists []list
	if q.UserID != "" {
		lists = append(lists, c.users.events(q.UserID))
	}
	if q.EventType != "" {
		lists = append(lists, c.types.events(q.EventType))
	}
	switch len(lists) {
	case 0:
		return everything{}
	case 1:
		return newListWalker(lists[0], q.Descending)
	}
	a, b := lists[0], lists[1]
	if b.count < a.count {
		a, b = b, a
	}
	return both{newListWalker(a, q.Descending), newListWalker(b, q.Descending)}
}

func newListWalker(l list, descending bool) walker {
	if descending {
		return &descent{list: l}
	}
	return &ascent{list: l}
}

type everything struct{}

func (everything) next(seq uint32) (uint32, bool) { return seq, true }

// both walks what two walkers have in common. Each leaps to where the other stands, so the cost is that of the rarer one,
// whatever the length of the other.
type both struct{ a, b walker }

func (w both) next(seq uint32) (uint32, bool) {
	for {
		x, ok := w.a.next(seq)
		if !ok {
			return 0, false
		}
		y, ok := w.b.next(x)
		if !ok {
			return 0, false
		}
		if x == y {
			return x, true
		}
		seq = y
	}
}

// ascent walks a list upwards. It remembers the block at hand, so that a step to a neighbour costs next to nothing.
type ascent struct {
	list  list
	block []uint32
	// i is the entry of the block where the walk stands.
	i int
}

func (w *ascent) next(seq uint32) (uint32, bool) {
	for range 2 { // here or the next one, mostly
		if w.i == len(w.block) {
			break
		}
		if v := w.block[w.i]; v >= seq {
			return v, true
		}
		w.i++
	}
	if n := len(w.block); w.i < n && w.block[n-1] >= seq {
		ahead, _ := slices.BinarySearch(w.block[w.i:], seq)
		w.i += ahead
		return w.block[w.i], true
	}
	rank := w.list.rank(seq)
	if rank == w.list.count {
		return 0, false
	}
	w.block, w.i = w.list.holding(rank)
	return w.block[w.i], true
}

// descent walks a list downwards.
type descent struct {
	list  list
	block []uint32
	// left is how many entries of the block are not behind the walk.
	left int
}

func (w *descent) next(seq uint32) (uint32, bool) {
	for range 2 {
		if w.left == 0 {
			break
		}
		if v := w.block[w.left-1]; v <= seq {
			return v, true
		}
		w.left--
	}
	if w.left > 0 && w.block[0] <= seq {
		w.left, _ = slices.BinarySearch(w.block[:w.left], seq+1)
		return w.block[w.left-1], true
	}
	rank := w.list.rank(seq + 1)
	if rank == 0 {
		return 0, false
	}
	block, i := w.list.holding(rank - 1)
	w.block, w.left = block, i+1
	return block[i], true
}
