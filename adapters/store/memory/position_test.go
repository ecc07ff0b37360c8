package memory

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func TestPartition(t *testing.T) {
	words := arena[uint32]{bits: 16}
	for name, step := range map[string]func(i int64) int64{
		"dense": func(int64) int64 { return 1 },
		"gaps":  func(i int64) int64 { return 1 + i%7*1000 },
		"wide":  func(i int64) int64 { return 1 + i%50/49*(math.MaxUint32-3+i%5) },
		"edge":  func(int64) int64 { return 1 << 31 },
		"vast":  func(int64) int64 { return 1 << 40 },
	} {
		p := partition{words: &words}
		var offsets []int64
		var seqs []uint32
		offset := int64(1_769_860_800_000_000)
		for i := range int64(2000) {
			offset += step(i)
			seq := uint32(3 * i)
			p.add(seq, offset)
			offsets, seqs = append(offsets, offset), append(seqs, seq)
		}
		for i := range offsets {
			for _, at := range []int64{offsets[i] - 1, offsets[i], offsets[i] + 1} {
				checkOffset(t, name, &p, at, offsets, seqs)
			}
			for _, at := range []uint32{seqs[i], seqs[i] + 1, seqs[i] + 2} {
				k, _ := slices.BinarySearch(seqs, at)
				if got, ok := p.before(at); ok != (k > 0) || ok && got != offsets[k-1] {
					t.Fatalf("%s: before %d: %d, %t", name, at, got, ok)
				}
			}
		}
		for _, at := range []int64{math.MinInt64, -1, 0, math.MaxInt64 - 1, math.MaxInt64} {
			checkOffset(t, name, &p, at, offsets, seqs)
		}
	}
}

func checkOffset(t *testing.T, name string, p *partition, at int64, offsets []int64, seqs []uint32) {
	t.Helper()
	k := sort.Search(len(offsets), func(i int) bool { return offsets[i] > at })
	behind, upTo := uint32(none), uint32(0)
	if k < len(seqs) {
		behind = seqs[k]
	}
	if k > 0 {
		upTo = seqs[k-1] + 1
	}
	if p.behind(at) != behind || p.upTo(at) != upTo {
		t.Fatalf("%s: offset %d: behind %d, want %d; up to %d, want %d", name, at, p.behind(at), behind, p.upTo(at), upTo)
	}
}

func TestCursorText(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for n := range 200 {
		c := cursor{descending: n%2 == 0, last: make(map[int32]int64)}
		for range n {
			c.last[int32(r.Uint32()>>r.IntN(32))] = int64(r.Uint64() >> r.IntN(64))
		}
		got, err := parseCursor(c.String(), c.descending)
		if err != nil || len(got.last) != len(c.last) {
			t.Fatalf("%v: %v, %v", c, got, err)
		}
		for p, offset := range c.last {
			if got.last[p] != offset {
				t.Fatalf("partition %d: %d, want %d", p, got.last[p], offset)
			}
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{last: map[int32]int64{0: 5, 3: 1 << 50}}.String(), false)
	f.Add(cursor{descending: true}.String(), true)
	f.Add(string(binary.AppendVarint(nil, math.MinInt64)), true)
	f.Fuzz(func(t *testing.T, text string, descending bool) {
		c, err := parseCursor(text, descending)
		if err != nil {
			return
		}
		if again, err := parseCursor(c.String(), descending); err != nil || len(again.last) != len(c.last) {
			t.Errorf("%q: %v, %v", text, again, err)
		}
	})
}
