package memory

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"
)

func TestArena(t *testing.T) {
	a := arena[uint32]{bits: 6}
	kept := make(map[uint64][]uint32)
	for i, n := range []int{1, 8, 8, 8, 9, 64, 65, 128, 129, 1000, 8, 8, 8, 8, 8, 8, 1, 1} {
		addr, room := a.alloc(n)
		if len(room) < n || n <= 8 && cap(room) != n {
			t.Fatalf("room for %d: %d, %d", n, len(room), cap(room))
		}
		for k := range room {
			room[k] = uint32(i)
		}
		kept[addr] = room
	}
	for addr, room := range kept {
		if got := a.view().from(addr)[:len(room)]; &got[0] != &room[0] || a.view().at(addr) != &room[0] || slices.Max(room) != slices.Min(room) {
			t.Errorf("what is at %d has moved or is shared", addr)
		}
	}
}

func TestRecords(t *testing.T) {
	var r records
	r.bytes.bits = chunkBits
	kept := make(map[uint64][]byte)
	for _, size := range []int{0, 1, 126, 127, 128, 129, 16_383, 16_384, chunkSize/8 - 3, chunkSize / 8, chunkSize - 3, chunkSize, 3 * chunkSize, 5} {
		text := bytes.Repeat([]byte{byte(size)}, size)
		kept[r.add(text)] = text
	}
	for addr, want := range kept {
		if got := r.view().record(addr); !bytes.Equal(got, want) || cap(got) != len(want) {
			t.Errorf("%d bytes come back as %d with room for %d", len(want), len(got), cap(got))
		}
	}
}

func TestBlocks(t *testing.T) {
	next := uint32(0)
	for block := range uint32(40) {
		if startOf(block) != next {
			t.Fatalf("block %d starts at %d, want %d", block, startOf(block), next)
		}
		for range sizeOf(block) {
			if blockOf(next) != block {
				t.Fatalf("entry %d is in block %d, want %d", next, blockOf(next), block)
			}
			next++
		}
	}
}

func TestChain(t *testing.T) {
	words := arena[uint32]{bits: 12}
	var c, other chain
	var want []uint32
	r := rand.New(rand.NewPCG(1, 1))
	for v := uint32(0); len(want) < 20_000; v += 1 + r.Uint32N(4) {
		c.append(&words, v)
		want = append(want, v)
		if v%3 == 0 {
			other.append(&words, v)
		}
		if n := len(want); n < 600 || n%997 == 0 {
			checkList(t, c.list(&words), want, r)
		}
	}
	checkList(t, c.list(&words), want, r)
	if empty := (list{}); empty.rank(7) != 0 || empty.count != 0 {
		t.Error("an empty list is not empty")
	}
}

func checkList(t *testing.T, l list, want []uint32, r *rand.Rand) {
	t.Helper()
	if int(l.count) != len(want) {
		t.Fatalf("%d entries, want %d", l.count, len(want))
	}
	for range 20 {
		i := r.IntN(len(want))
		if got := l.at(uint32(i)); got != want[i] {
			t.Fatalf("entry %d of %d is %d, want %d", i, len(want), got, want[i])
		}
		v := r.Uint32N(want[len(want)-1] + 3)
		rank := sort.Search(len(want), func(i int) bool { return want[i] >= v })
		if got := l.rank(v); int(got) != rank {
			t.Fatalf("rank of %d among %d is %d, want %d", v, len(want), got, rank)
		}
	}
}

// TestLeaps checks that searching takes few steps, in lists of any length.
func TestLeaps(t *testing.T) {
	words := arena[uint32]{bits: 16}
	var c chain
	const blocks = 1000
	for v := range uint32(blocks * maxBlock) {
		c.append(&words, v)
	}
	l := c.list(&words)
	for block := range uint32(blocks) {
		n, steps := (node{l.last, blockOf(l.count - 1)}), 0
		for n.block > block {
			if n.block-leap(n.block) >= block {
				n = l.leap(n)
			} else {
				n = l.prev(n)
			}
			steps++
		}
		if steps > 30 || l.entries(n)[0] != startOf(block) {
			t.Fatalf("block %d: %d after %d steps", block, l.entries(n)[0], steps)
		}
	}
}

func TestWalkers(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	words := arena[uint32]{bits: 12}
	const span = 20_000
	for _, density := range [][2]int{{1, 1}, {2, 3}, {50, 1}, {1, 50}, {300, 7}, {20_000, 2}} {
		var a, b chain
		var inA, inBoth []uint32
		for v := range uint32(span) {
			x, y := r.IntN(density[0]) == 0, r.IntN(density[1]) == 0
			if x {
				a.append(&words, v)
				inA = append(inA, v)
			}
			if y {
				b.append(&words, v)
			}
			if x && y {
				inBoth = append(inBoth, v)
			}
		}
		for _, descending := range []bool{false, true} {
			one := func(c *chain) walker { return newListWalker(c.list(&words), descending) }
			for _, stride := range []uint32{1, 3, 100, 5000} {
				checkWalk(t, one(&a), inA, stride, descending)
				checkWalk(t, both{one(&a), one(&b)}, inBoth, stride, descending)
			}
		}
	}
}

// checkWalk asks a walker for the nearest event in strides.
func checkWalk(t *testing.T, w walker, want []uint32, stride uint32, descending bool) {
	t.Helper()
	for at := uint32(0); at < 20_000; at += stride {
		seq := at
		i, _ := slices.BinarySearch(want, seq)
		if descending {
			seq = 20_000 - 1 - at
			i, _ = slices.BinarySearch(want, seq+1)
			i--
		}
		got, ok := w.next(seq)
		if ok != (i >= 0 && i < len(want)) || ok && got != want[i] {
			t.Fatalf("next of %d descending %t: %d, %t", seq, descending, got, ok)
		}
	}
}

func TestIndex(t *testing.T) {
	var x index
	same := func(n uint32) func(uint32) bool { return func(number uint32) bool { return number == n } }
	hash := func(n uint32) uint32 { return n * 2654435761 / 3 * 3 } // some collide
	const n = 50_000
	for number := range uint32(n) {
		if _, ok := x.find(hash(number), same(number)); ok {
			t.Fatalf("%d is there too early", number)
		}
		x.insert(hash(number), number)
		if number%100 == 0 {
			old := number / 2
			if got, ok := x.find(hash(old), same(old)); !ok || got != old {
				t.Fatalf("%d: %d, %t", old, got, ok)
			}
		}
	}
	for number := range uint32(n) {
		if got, ok := x.find(hash(number), same(number)); !ok || got != number {
			t.Fatalf("%d: %d, %t", number, got, ok)
		}
	}
}

func TestStamp(t *testing.T) {
	times := []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 256, time.UTC),
		{}, time.Unix(0, -1), time.Unix(0, 0), time.Unix(0, 255), time.Unix(0, 256), time.Unix(0, 257), time.Unix(0, 999_999_999), time.Unix(1, 0),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Unix(endSecond, 0),
	}
	for i, a := range times {
		s := stampOf(a)
		if r := newRow(1<<addressBits-1, maxPartitions-1, s); r.stamp() != s || r.address() != 1<<addressBits-1 || r.partition() != maxPartitions-1 {
			t.Errorf("%v does not come back from its row", a)
		}
		for k, b := range times {
			if s.before(stampOf(b)) != (i < k) {
				t.Errorf("%v before %v: %t", a, b, i >= k)
			}
		}
	}
	for _, early := range []time.Time{time.Date(-1, 12, 31, 0, 0, 0, 5, time.UTC), time.Unix(math.MinInt64/4, 5)} {
		if stampOf(early) != stampOf(times[0]) {
			t.Errorf("%v is not clamped", early)
		}
	}
	for _, late := range []time.Time{time.Unix(endSecond, 7), time.Unix(math.MaxInt64/4, 5)} {
		if stampOf(late) != stampOf(time.Unix(endSecond, 0)) {
			t.Errorf("%v is not clamped", late)
		}
	}
}
