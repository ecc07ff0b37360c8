package memory

import (
	"math"
	"sort"
	"sync/atomic"
)

// partition knows where each event of a partition of the log stands, by offset and by number, both of which ascend.
type partition struct {
	number int32
	words  *arena[uint32]
	// last is the offset of the last event; it is the writer's.
	last int64
	runs atomic.Pointer[[]*run]
}

// run is a part of a partition whose offsets lie within 2^32 of the first one, so that an event takes two words. Offsets
// may start anywhere and have gaps; hardly any partition has a second run.
type run struct {
	base          int64
	first         uint32
	seqs, offsets chain
}

// add notes an event.
func (p *partition) add(seq uint32, offset int64) {
	runs := p.view()
	if len(runs) == 0 {
		p.begin(seq, offset)
		return
	}
	offset = max(offset, p.last+1)
	last := runs[len(runs)-1]
	above := uint64(offset - last.base) //nolint:gosec // base is not above offset
	if above > math.MaxUint32 {
		p.begin(seq, offset)
		return
	}
	last.add(p.words, seq, uint32(above))
	p.last = offset
}

// begin makes a run, whose first event is that one.
func (p *partition) begin(seq uint32, offset int64) {
	r := &run{base: offset, first: seq}
	r.add(p.words, seq, 0)
	runs := append(p.view(), r)
	p.runs.Store(&runs)
	p.last = offset
}

// add notes the offset first: a reader that sees the event sees its offset, too.
func (r *run) add(words *arena[uint32], seq, above uint32) {
	r.offsets.append(words, above)
	r.seqs.append(words, seq)
}

func (p *partition) view() []*run {
	if runs := p.runs.Load(); runs != nil {
		return *runs
	}
	return nil
}

// none is a number behind all events.
const none = math.MaxUint32

// behind returns the first event whose offset is above the given one, or none.
func (p *partition) behind(offset int64) uint32 {
	runs := p.view()
	i := sort.Search(len(runs), func(i int) bool { return runs[i].base > offset })
	if i > 0 {
		r := runs[i-1]
		seqs := r.seqs.list(p.words)
		if above := uint64(offset - r.base); above < math.MaxUint32 { //nolint:gosec // base is not above offset
			if k := r.offsets.list(p.words).rank(uint32(above) + 1); k < seqs.count {
				return seqs.at(k)
			}
		}
	}
	if i < len(runs) {
		return runs[i].first
	}
	return none
}

// before returns the offset of the last event that is before seq.
func (p *partition) before(seq uint32) (offset int64, ok bool) {
	runs := p.view()
	i := sort.Search(len(runs), func(i int) bool { return runs[i].first >= seq })
	if i == 0 {
		return 0, false
	}
	r := runs[i-1]
	k := r.seqs.list(p.words).rank(seq)
	return r.base + int64(r.offsets.list(p.words).at(k-1)), true
}

// upTo returns how many events there are up to the last one whose offset is not above the given one: the number behind it.
func (p *partition) upTo(offset int64) uint32 {
	runs := p.view()
	i := sort.Search(len(runs), func(i int) bool { return runs[i].base > offset })
	if i == 0 {
		return 0
	}
	r := runs[i-1]
	seqs := r.seqs.list(p.words)
	k := seqs.count
	if above := uint64(offset - r.base); above < math.MaxUint32 { //nolint:gosec // base is not above offset
		k = min(k, r.offsets.list(p.words).rank(uint32(above)+1))
	}
	return seqs.at(k-1) + 1
}
