package store

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// forest is the nodes of a tree, and the seconds of the events that it was made of.
type forest struct {
	nodes   map[[2]int64][]Zone
	seconds []int64
}

func newForest(seconds []int64) forest {
	f := forest{make(map[[2]int64][]Zone), seconds}
	for seq, second := range seconds {
		for level := range ZoneLevels {
			number, place := ZoneNode(level, int64(seq))
			key := [2]int64{int64(level), number}
			for len(f.nodes[key]) <= place {
				f.nodes[key] = append(f.nodes[key], Zone{})
			}
			f.nodes[key][place].Add(second)
		}
	}
	return f
}

func (f forest) tree(first, last int64) *ZoneTree {
	return &ZoneTree{First: first, Last: last, Load: func(level int, node int64) ([]Zone, error) {
		return f.nodes[[2]int64{int64(level), node}], nil
	}}
}

// covered walks the runs, and returns how many events there are in them. Every event of the time must be in one.
func (f forest) covered(t *testing.T, first, last, from, to int64, descending bool) (events int64) {
	t.Helper()
	tree := f.tree(first, last)
	in := make([]bool, len(f.seconds))
	for at := map[bool]int64{false: from, true: to}[descending]; ; {
		var run Run
		var ok bool
		var err error
		if descending {
			run, ok, err = tree.Down(at, from)
		} else {
			run, ok, err = tree.Up(at, to)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if run.From < from || run.To > to || run.From > run.To || descending && run.To > at || !descending && run.From < at {
			t.Fatalf("run %v from %d, of %d to %d, descending %t", run, at, from, to, descending)
		}
		for seq := run.From; seq <= run.To && seq < int64(len(in)); seq++ {
			in[seq] = true
			events++
		}
		at = run.To + 1
		if descending {
			at = run.From - 1
		}
	}
	for seq := from; seq <= to && seq < int64(len(in)); seq++ {
		if s := f.seconds[seq]; s >= first && s <= last && !in[seq] {
			t.Fatalf("event %d of second %d is in no run of %d to %d, descending %t", seq, s, first, last, descending)
		}
	}
	return events
}

func TestZoneTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, rogue := range []int{0, 10_000, 300, 50, 1} {
		seconds := make([]int64, 200_000)
		for i := range seconds {
			seconds[i] = int64(i) + r.Int64N(100)
			if rogue > 0 && r.IntN(rogue) == 0 {
				seconds[i] = r.Int64N(1<<38) - 1<<37
			}
		}
		f := newForest(seconds)
		for range 60 {
			from, to := r.Int64N(200_000), r.Int64N(220_000)
			first := r.Int64N(220_000) - 10_000
			last := first + r.Int64N(1<<(1+r.IntN(18)))
			for _, descending := range []bool{false, true} {
				f.covered(t, first, last, from, to, descending)
			}
		}
	}
}

// TestZoneTreeIsSharp holds the tree to what it is for: little is in runs that is not of the time, though one event in two
// hundred has a time that is far off.
func TestZoneTreeIsSharp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seconds := make([]int64, 1<<20)
	for i := range seconds {
		seconds[i] = 1_700_000_000 + int64(i) + r.Int64N(30)
		if r.IntN(200) == 0 {
			seconds[i] = r.Int64N(4_000_000_000)
		}
	}
	f := newForest(seconds)
	const last = 1<<20 - 1
	for _, descending := range []bool{false, true} {
		if n := f.covered(t, 1_700_500_000, 1_700_501_000, 0, last, descending); n > 5_000 {
			t.Errorf("%d events are looked at for 1,000, descending %t", n, descending)
		}
	}
}

// TestZoneTreeTakesWholeZones checks that a run over everything is found in a few steps.
func TestZoneTreeTakesWholeZones(t *testing.T) {
	seconds := make([]int64, 1<<20)
	for i := range seconds {
		seconds[i] = int64(i)
	}
	f := newForest(seconds)
	tree, loads := f.tree(1000, 1<<40), 0
	load := tree.Load
	tree.Load = func(level int, node int64) ([]Zone, error) {
		loads++
		return load(level, node)
	}
	run, ok, err := tree.Up(0, 1<<20-1)
	if want := (Run{992, 1<<20 - 1}); run != want || !ok || err != nil || loads > 20 {
		t.Errorf("%v, %t, %v after %d loads; want %v", run, ok, err, loads, want)
	}
}

func TestZones(t *testing.T) {
	var near, far, none Zone
	for _, s := range []int64{100, 130, 110, -5000, 1 << 40} {
		near.Add(s)
	}
	for i := range int64(30) {
		far.Add(i * i * i * 1000)
	}
	far.Add(-62167219200)
	zones := []Zone{near, none, far, none}
	got, err := ParseZones(AppendZones(nil, zones))
	if err != nil || len(got) != 4 || !reflect.DeepEqual(got[0], near) || !reflect.DeepEqual(got[2], far) || len(got[1].spans) != 0 {
		t.Errorf("%v has become %v, %v", zones, got, err)
	}
	if len(near.spans) != 3 || len(far.spans) != maxSpans {
		t.Errorf("%v, %v: want 3 and %d spans", near, far, maxSpans)
	}
	if none.Overlaps(-1<<62, 1<<62) || !near.Overlaps(130, 140) || near.Overlaps(131, 1<<40-1) || !near.Within(-5000, 1<<40) || near.Within(0, 1<<50) {
		t.Error("wrong about what is in a zone")
	}
	text := AppendZones(nil, zones)
	for cut := range text {
		if got, err := ParseZones(text[:cut]); err == nil && len(got) > 4 {
			t.Errorf("cut at %d: %v", cut, got)
		}
	}
}
