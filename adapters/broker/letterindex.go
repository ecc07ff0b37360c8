package broker

import (
	"maps"
	"math"
	"slices"
	"time"
	"unique"

	"github.com/netstreamflow/netstreamflow/application"
)

// maxLetters is how many open letters an index holds, how many marks may wait for their letters, and of how many letters that found
// no room it is known that they are settled.
const maxLetters = 100_000

// letterIndex is what reading the dead-letter topic in order has shown: which letters are open. It is not safe for concurrent
// use.
type letterIndex struct {
	limit      int
	partitions map[int32]*letterPartition
	open       int
	// unlisted counts open letters beyond the limit.
	unlisted int64
	// done are letters beyond the limit that are settled.
	done map[application.Position]struct{}
	// early are marks that came before their letters, from another partition.
	early map[application.Position]struct{}
}

type letterPartition struct {
	// next is the offset behind the last record that was read.
	next int64
	// full is the offset of the first letter that found no room: nothing behind it is listed.
	full int64
	// known is the offset up to which an earlier reading has shown which letters are open: only those are.
	known int64
	open  map[int64]application.Letter
	// order has the offsets of all open letters, in order, and some that are not open any more.
	order []int64
}

func newLetterIndex(limit int) *letterIndex {
	return &letterIndex{
		limit: limit, partitions: map[int32]*letterPartition{},
		done: map[application.Position]struct{}{}, early: map[application.Position]struct{}{},
	}
}

// rest returns the index for another reading from the beginning, which finds room for the letters that found none: it knows the
// open ones already, as else those that are settled by now would take the room before their marks come.
func (x *letterIndex) rest() *letterIndex {
	next := newLetterIndex(x.limit)
	next.open = x.open
	for n, p := range x.partitions {
		next.partitions[n] = &letterPartition{full: math.MaxInt64, known: min(p.full, p.next), open: maps.Clone(p.open), order: slices.Clone(p.order)}
	}
	return next
}

// at returns the partition, which is made where it is missing.
func (x *letterIndex) at(partition int32) *letterPartition {
	p := x.partitions[partition]
	if p == nil {
		p = &letterPartition{full: math.MaxInt64, open: map[int64]application.Letter{}}
		x.partitions[partition] = p
	}
	return p
}

// peek returns the partition, an empty one where nothing of it has been read.
func (x *letterIndex) peek(partition int32) *letterPartition {
	if p := x.partitions[partition]; p != nil {
		return p
	}
	return &letterPartition{full: math.MaxInt64}
}

// isBehind says that the record at the place has been read before.
func (x *letterIndex) isBehind(at application.Position) bool {
	return at.Offset < x.peek(at.Partition).next
}

// pass notes that the record at the place has been read.
func (x *letterIndex) pass(at application.Position) { x.at(at.Partition).next = at.Offset + 1 }

// add takes the next letter of its partition.
func (x *letterIndex) add(l application.Letter) {
	p := x.at(l.Partition)
	x.pass(l.Position)
	if l.Offset < p.known {
		return
	}
	if _, settled := x.early[l.Position]; settled {
		delete(x.early, l.Position)
		return
	}
	if x.open >= x.limit || x.unlisted > 0 {
		p.full = min(p.full, l.Offset)
		x.unlisted++
		return
	}
	l.Reason, l.Consumer = unique.Make(l.Reason).Value(), unique.Make(l.Consumer).Value()
	l.From.Topic, l.First.Topic = unique.Make(l.From.Topic).Value(), unique.Make(l.First.Topic).Value()
	p.open[l.Offset] = l
	p.order = append(p.order, l.Offset)
	x.open++
}

// settle notes that the letter at the place is settled.
func (x *letterIndex) settle(at application.Position) {
	if at.Partition < 0 {
		return
	}
	p := x.peek(at.Partition)
	switch _, open := p.open[at.Offset]; {
	case open:
		x.remove(p, at.Offset)
	case at.Offset < p.known: // it was not open before
	case at.Offset >= p.next:
		if len(x.early) < x.limit {
			x.early[at] = struct{}{}
		}
	default:
		x.finish(p, at)
	}
}

// finish notes that a letter beyond the limit is settled. Where too many are, it may be counted twice.
func (x *letterIndex) finish(p *letterPartition, at application.Position) {
	if at.Offset < p.full || at.Offset >= p.next {
		return
	}
	if _, known := x.done[at]; known {
		return
	}
	x.unlisted = max(0, x.unlisted-1)
	if len(x.done) < x.limit {
		x.done[at] = struct{}{}
	}
}

// close notes that the letter at the place is settled, if it has been read; its mark is still to come.
func (x *letterIndex) close(at application.Position) {
	p := x.peek(at.Partition)
	if _, open := p.open[at.Offset]; open {
		x.remove(p, at.Offset)
		return
	}
	x.finish(p, at)
}

func (x *letterIndex) remove(p *letterPartition, offset int64) {
	delete(p.open, offset)
	x.open--
	if len(p.order) > 2*len(p.open)+64 {
		p.order = slices.DeleteFunc(p.order, func(o int64) bool {
			_, open := p.open[o]
			return !open
		})
		p.order = slices.Clip(p.order)
	}
}

// isSettled says whether the letter at the place, which is one, is not open any more.
func (x *letterIndex) isSettled(at application.Position) bool {
	p := x.peek(at.Partition)
	if _, early := x.early[at]; early {
		return true
	}
	if _, done := x.done[at]; done {
		return true
	}
	_, open := p.open[at.Offset]
	return !open && at.Offset < p.next && at.Offset < p.full
}

// letter returns what is known of an open letter.
func (x *letterIndex) letter(at application.Position) (application.Letter, bool) {
	l, open := x.peek(at.Partition).open[at.Offset]
	return l, open
}

// needsRest says that there is room again for what found none.
func (x *letterIndex) needsRest() bool { return x.unlisted > 0 && x.open <= x.limit/2 }

// prune forgets what the log does not have any more. isNew says that the log is another one than that which was read.
func (x *letterIndex) prune(bounds map[int32]application.Bounds) (isNew bool) {
	for n, p := range x.partitions {
		b, known := bounds[n]
		if !known {
			continue // it is not known yet
		}
		if p.next > b.Next {
			return true
		}
		for offset := range p.open {
			if offset < b.First {
				x.remove(p, offset)
			}
		}
	}
	maps.DeleteFunc(x.done, func(at application.Position, _ struct{}) bool { return at.Offset < bounds[at.Partition].First })
	maps.DeleteFunc(x.early, func(at application.Position, _ struct{}) bool { return x.isBehind(at) })
	return false
}

// next returns the offset behind what was read, by partition.
func (x *letterIndex) next() map[int32]int64 {
	places := make(map[int32]int64, len(x.partitions))
	for n, p := range x.partitions {
		places[n] = p.next
	}
	return places
}

// settledUpTo returns by partition the offset of the first open letter, or the one behind what was read where there is none.
func (x *letterIndex) settledUpTo() map[int32]int64 {
	places := x.next()
	for n, p := range x.partitions {
		places[n] = min(places[n], p.full)
		for offset := range p.open {
			places[n] = min(places[n], offset)
		}
	}
	return places
}

// find returns a page of open letters.
func (x *letterIndex) find(q application.LetterQuery) application.LetterPage {
	page := application.LetterPage{Letters: []application.Letter{}, Open: int64(x.open) + x.unlisted, Unlisted: x.unlisted}
	after := application.Position{Partition: -1}
	if q.Cursor != "" {
		after, _ = application.ParseLetterID(q.Cursor) // it was checked
	}
	for _, n := range slices.Sorted(maps.Keys(x.partitions)) {
		if n < after.Partition {
			continue
		}
		p, begin := x.partitions[n], 0
		if n == after.Partition {
			begin, _ = slices.BinarySearch(p.order, after.Offset+1)
		}
		for _, offset := range p.order[begin:] {
			l, open := p.open[offset]
			if !open || !q.Matches(l) {
				continue
			}
			if len(page.Letters) == q.Limit {
				page.Left++
				continue
			}
			page.Letters = append(page.Letters, l)
		}
	}
	if page.Left > 0 {
		page.Next = page.Letters[len(page.Letters)-1].ID()
	}
	return page
}

// oldest returns when the oldest of the listed letters was given up, zero without one.
func (x *letterIndex) oldest() (oldest time.Time) {
	for _, p := range x.partitions {
		for _, l := range p.open {
			if oldest.IsZero() || l.Time.Before(oldest) {
				oldest = l.Time
			}
		}
	}
	return oldest
}
