package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

func at(partition int32, offset int64) application.Position {
	return application.Position{Partition: partition, Offset: offset}
}

func (x *letterIndex) ids() (ids []string) {
	for _, l := range x.find(application.LetterQuery{Limit: 1000}).Letters {
		ids = append(ids, l.ID())
	}
	return ids
}

func wantIDs(t *testing.T, x *letterIndex, want ...string) {
	t.Helper()
	if got := x.ids(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got the letters %q, want %q", got, want)
	}
}

// TestIndexIsBounded has more letters than there is room for: they are counted, and come up when the topic is read again.
func TestIndexIsBounded(t *testing.T) {
	x := newLetterIndex(4)
	fill := func() {
		for n := range int64(5) {
			x.add(application.Letter{Position: at(0, n)})
			x.add(application.Letter{Position: at(1, 10+n)})
		}
	}
	fill()
	wantIDs(t, x, "0-0", "0-1", "1-10", "1-11")
	if x.open != 4 || x.unlisted != 6 || x.needsRest() {
		t.Errorf("%d are open, %d unlisted", x.open, x.unlisted)
	}
	for _, unlisted := range []application.Position{at(0, 2), at(1, 14)} {
		if x.isSettled(unlisted) {
			t.Errorf("%v is settled", unlisted)
		}
		x.settle(unlisted)
	}
	if x.unlisted != 4 {
		t.Errorf("%d are unlisted", x.unlisted)
	}
	x.settle(at(0, 0))
	x.settle(at(0, 0))
	if x.open != 3 || x.unlisted != 4 || x.needsRest() || !x.isSettled(at(0, 0)) {
		t.Errorf("%d are open, %d unlisted", x.open, x.unlisted)
	}
	// What comes now must not be listed before what found no room.
	x.add(application.Letter{Position: at(0, 5)})
	wantIDs(t, x, "0-1", "1-10", "1-11")
	x.settle(at(1, 10))
	if !x.needsRest() {
		t.Error("there is room, and nobody is to read the rest")
	}
	x = x.rest()
	wantIDs(t, x, "0-1", "1-11")
	fill()
	for _, settled := range []application.Position{at(0, 0), at(0, 2), at(1, 14), at(1, 10)} { // the marks come last
		x.settle(settled)
	}
	wantIDs(t, x, "0-1", "1-11", "1-12")
	if x.open != 3 || x.unlisted != 3 {
		t.Errorf("%d are open, %d unlisted", x.open, x.unlisted)
	}
}

// TestIndexTakesMarksThatComeEarly has the mark of a letter in another partition.
func TestIndexTakesMarksThatComeEarly(t *testing.T) {
	x := newLetterIndex(3)
	for n := range int64(5) {
		x.settle(at(0, n)) // only as many as there is room for are remembered
	}
	x.settle(at(-1, 0))
	if !x.isSettled(at(0, 0)) || len(x.early) != 3 {
		t.Errorf("%d marks are remembered", len(x.early))
	}
	for n := range int64(5) {
		x.add(application.Letter{Position: at(0, n)})
	}
	wantIDs(t, x, "0-3", "0-4")
	if len(x.early) != 0 {
		t.Errorf("%d marks wait for letters that have come", len(x.early))
	}
}

// TestIndexForgetsWhatIsGone follows the retention of the topic, and notices another topic of the same name.
func TestIndexForgetsWhatIsGone(t *testing.T) {
	x := newLetterIndex(1000)
	for n := range int64(300) {
		x.add(application.Letter{Position: at(0, n)})
	}
	if x.prune(map[int32]application.Bounds{0: {First: 298, Next: 300}, 1: {}}) {
		t.Error("the same topic is taken for another one")
	}
	wantIDs(t, x, "0-298", "0-299")
	if p := x.partitions[0]; len(p.order) > 70 || x.open != 2 {
		t.Errorf("%d offsets are kept for %d letters", len(p.order), x.open)
	}
	if !x.prune(map[int32]application.Bounds{0: {First: 0, Next: 299}}) {
		t.Error("a shorter topic is taken for the same one")
	}
	if places := x.next(); len(places) != 1 || places[0] != 300 {
		t.Errorf("it goes on from %v", places)
	}
}

func TestIndexKnowsTheOldest(t *testing.T) {
	x := newLetterIndex(10)
	if !x.oldest().IsZero() {
		t.Error("without letters there is an oldest one")
	}
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for n, later := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour} {
		x.add(application.Letter{Position: at(0, int64(n)), Time: noon.Add(later)})
	}
	if got := x.oldest(); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("the oldest is from %v", got)
	}
}
