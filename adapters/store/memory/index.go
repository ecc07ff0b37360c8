package memory

import "sync/atomic"

// index finds numbers by the hash of what they stand for. It is an extendible hash table: small segments that split one
// by one when they are full, so that it grows without a pause, and readers need no lock. There is one writer.
type index struct {
	directory atomic.Pointer[directory]
}

// directory leads from the upper depth bits of a hash to a segment; neighbours may share one.
type directory struct {
	depth    uint
	segments []atomic.Pointer[segment]
}

// A segment grows once before it splits, so that it is never less than two thirds as full as it may be.
const (
	smallSegment = 1024
	largeSegment = 1536
	hashBits     = 32
	// startBits are the lower bits of a hash, by which probing begins; the upper ones are the same in a whole segment.
	startBits = 12
)

// segment is a table with linear probing. A slot is the hash in the upper half and the number plus one in the lower one, 0
// when free; it never changes once it is taken.
type segment struct {
	slots []atomic.Uint64
	// depth is how many upper bits all hashes of the segment share; depth and used are the writer's.
	depth uint
	used  int
}

func newSegment(size int, depth uint) *segment {
	return &segment{slots: make([]atomic.Uint64, size), depth: depth}
}

// probe returns the slot with that hash for which same holds, or the free slot at which the search ends.
func (s *segment) probe(hash uint32, same func(number uint32) bool) (at *atomic.Uint64, slot uint64) {
	i := int(hash&(1<<startBits-1)) * len(s.slots) >> startBits
	for {
		at = &s.slots[i]
		slot = at.Load()
		if slot == 0 || uint32(slot>>hashBits) == hash && same(numberOf(slot)) {
			return at, slot
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}

func numberOf(slot uint64) uint32 { return uint32(slot) - 1 } //nolint:gosec // the lower half

// put takes a free slot. The number must not be there.
func (s *segment) put(slot uint64) {
	at, _ := s.probe(uint32(slot>>hashBits), func(uint32) bool { return false })
	at.Store(slot)
	s.used++
}

func (s *segment) full() bool { return s.used >= len(s.slots)*7/8 }

// find returns the number with that hash for which same holds.
func (x *index) find(hash uint32, same func(number uint32) bool) (number uint32, ok bool) {
	d := x.directory.Load()
	if d == nil {
		return 0, false
	}
	_, slot := d.segment(hash).probe(hash, same)
	return numberOf(slot), slot != 0
}

// insert adds a number that is not there. Only the writer calls it.
func (x *index) insert(hash, number uint32) {
	if x.directory.Load() == nil {
		d := &directory{segments: make([]atomic.Pointer[segment], 1)}
		d.segments[0].Store(newSegment(smallSegment, 0))
		x.directory.Store(d)
	}
	s := x.directory.Load().segment(hash)
	for s.full() {
		x.grow(s, hash)
		s = x.directory.Load().segment(hash)
	}
	s.put(uint64(hash)<<hashBits | uint64(number+1))
}

func (d *directory) segment(hash uint32) *segment {
	return d.segments[hash>>(hashBits-d.depth)].Load()
}

// grow replaces the full segment of hash by a large one or, if it is that, by two small ones. A reader that still has it
// finds there all that it held.
func (x *index) grow(full *segment, hash uint32) {
	d := x.directory.Load()
	lower := newSegment(largeSegment, full.depth)
	upper := lower
	if len(full.slots) == largeSegment {
		if full.depth == d.depth {
			d = d.double()
			x.directory.Store(d)
		}
		lower, upper = newSegment(smallSegment, full.depth+1), newSegment(smallSegment, full.depth+1)
	}
	for i := range full.slots {
		switch slot := full.slots[i].Load(); {
		case slot == 0:
		case slot>>(2*hashBits-1-full.depth)&1 == 0:
			lower.put(slot)
		default:
			upper.put(slot)
		}
	}
	shared := 1 << (d.depth - full.depth)
	first := int(hash>>(hashBits-full.depth)) * shared
	for i := range shared {
		half := lower
		if i >= shared/2 {
			half = upper
		}
		d.segments[first+i].Store(half)
	}
}

func (d *directory) double() *directory {
	twice := &directory{depth: d.depth + 1, segments: make([]atomic.Pointer[segment], 2*len(d.segments))}
	for i := range twice.segments {
		twice.segments[i].Store(d.segments[i/2].Load())
	}
	return twice
}
