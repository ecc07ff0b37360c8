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

const (
	// segmentSlots makes a segment 8 KiB, which is what the allocator has a size for.
	segmentSlots = 1022
	segmentFull  = segmentSlots * 7 / 8
	hashBits     = 32
)

// segment is a table with linear probing. A slot is the hash in the upper half and the number plus one in the lower one, 0
// when free; it never changes once it is taken.
type segment struct {
	// depth is how many upper bits all hashes of the segment share; depth and used are the writer's.
	depth uint
	used  int
	slots [segmentSlots]atomic.Uint64
}

// start returns where probing begins: by the lower bits, as the upper ones are the same for all.
func start(hash uint32) int { return int(hash&0x3ff) * segmentSlots >> 10 }

// find returns the number with that hash for which same holds.
func (x *index) find(hash uint32, same func(number uint32) bool) (number uint32, ok bool) {
	d := x.directory.Load()
	if d == nil {
		return 0, false
	}
	s := d.segment(hash)
	for i := start(hash); ; i++ {
		if i == segmentSlots {
			i = 0
		}
		slot := s.slots[i].Load()
		if slot == 0 {
			return 0, false
		}
		if uint32(slot>>hashBits) == hash && same(uint32(slot)-1) { //nolint:gosec // the two halves
			return uint32(slot) - 1, true //nolint:gosec // the lower half
		}
	}
}

// insert adds a number that is not there. Only the writer calls it.
func (x *index) insert(hash, number uint32) {
	if x.directory.Load() == nil {
		d := &directory{segments: make([]atomic.Pointer[segment], 1)}
		d.segments[0].Store(new(segment))
		x.directory.Store(d)
	}
	for {
		s := x.directory.Load().segment(hash)
		if s.used < segmentFull {
			s.put(uint64(hash)<<hashBits | uint64(number+1))
			return
		}
		x.split(s, hash)
	}
}

func (d *directory) segment(hash uint32) *segment {
	return d.segments[hash>>(hashBits-d.depth)].Load()
}

func (s *segment) put(slot uint64) {
	i := start(uint32(slot >> hashBits)) //nolint:gosec // the upper half
	for s.slots[i].Load() != 0 {
		if i++; i == segmentSlots {
			i = 0
		}
	}
	s.slots[i].Store(slot)
	s.used++
}

// split replaces the full segment of hash by two. A reader that has it still finds there all that it held.
func (x *index) split(full *segment, hash uint32) {
	d := x.directory.Load()
	if full.depth == d.depth {
		d = d.double()
		x.directory.Store(d)
	}
	halves := [2]*segment{{depth: full.depth + 1}, {depth: full.depth + 1}}
	for i := range full.slots {
		if slot := full.slots[i].Load(); slot != 0 {
			halves[slot>>(2*hashBits-1-full.depth)&1].put(slot)
		}
	}
	shared := d.depth - full.depth
	first := int(hash>>(hashBits-full.depth)) << shared
	for i := range 1 << shared {
		d.segments[first+i].Store(halves[i>>(shared-1)])
	}
}

func (d *directory) double() *directory {
	twice := &directory{depth: d.depth + 1, segments: make([]atomic.Pointer[segment], 2*len(d.segments))}
	for i := range twice.segments {
		twice.segments[i].Store(d.segments[i/2].Load())
	}
	return twice
}
