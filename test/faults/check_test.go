package main

import (
	"strings"
	"testing"
	"time"
)

// accepted is a history of one user whose events were accepted one after the other.
func accepted(n int) history {
	var events []*event
	for i := range n {
		events = append(events, &event{user: "u", n: i, id: id(i), first: 2*i + 1, accepted: 2*i + 2})
	}
	return history{"u": events}
}

func id(n int) string { return "id-" + string(rune('a'+n)) }

func kept(numbers ...int) []stored {
	var all []stored
	for _, n := range numbers {
		all = append(all, stored{user: "u", n: n, id: id(n)})
	}
	return all
}

func TestCheckFindsNothingWrong(t *testing.T) {
	if f := check(accepted(4), kept(0, 1, 2, 3)); f.broken() != 0 {
		t.Errorf("found %q", f.lines())
	}
	if f := check(history{}, nil); f.broken() != 0 {
		t.Errorf("found %q in nothing", f.lines())
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	tests := map[string]struct {
		kept []stored
		want string
	}{
		"lost in the middle":  {kept(0, 1, 3), "lost: u n=2 eventId id-c"},
		"lost at the end":     {kept(0, 1, 2), "lost: u n=3 eventId id-d"},
		"twice":               {kept(0, 1, 1, 2, 3), "stored twice: u n=1 eventId id-b and id-b"},
		"twice, later":        {kept(0, 1, 2, 3, 1), "stored twice: u n=1"},
		"twice, another id":   {append(kept(0, 1, 2, 3), stored{id: "id-x", user: "u", n: 1}), "stored twice: u n=1 eventId id-b and id-x"},
		"one id for two":      {append(kept(0, 1, 2), stored{id: "id-a", user: "u", n: 3}), "stored twice: eventId id-a for u n=0 and for u n=3"},
		"neighbours swapped":  {kept(0, 2, 1, 3), "out of order: u n=1"},
		"last one first":      {kept(3, 0, 1, 2), "out of order: u n=0"},
		"never sent":          {append(kept(0, 1, 2, 3), stored{id: "id-x", user: "u", n: 4}), "never sent: u n=4 eventId id-x"},
		"of an unknown user":  {append(kept(0, 1, 2, 3), stored{id: "id-x", user: "v", n: 0}), "never sent: v n=0 eventId id-x"},
		"under an id unknown": {append(kept(0, 1, 2), stored{id: "id-x", user: "u", n: 3}), "not as sent: u n=3 has eventId id-x, not id-d"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := check(accepted(4), tt.kept)
			if got := strings.Join(f.lines(), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// An event that was not acknowledged may be there or not, and anywhere; but not twice.
func TestCheckOfTheUnacknowledged(t *testing.T) {
	sent := accepted(3)
	sent["u"][1].accepted = 0
	for _, numbers := range [][]int{{0, 2}, {0, 1, 2}, {1, 0, 2}, {0, 2, 1}} {
		if f := check(sent, kept(numbers...)); f.broken() != 0 {
			t.Errorf("%v: found %q", numbers, f.lines())
		}
	}
	if f := check(sent, kept(0, 1, 1, 2)); len(f.twice) != 1 {
		t.Errorf("found %q in one that is there twice", f.lines())
	}
	if f := check(sent, kept(2, 1, 0)); len(f.reordered) != 1 {
		t.Errorf("found %q where the accepted ones are swapped", f.lines())
	}
}

// Of two events whose sendings overlapped either may be first.
func TestCheckOfOverlappingSendings(t *testing.T) {
	first := &event{user: "u", n: 0, id: id(0), first: 1, accepted: 9}
	second := &event{user: "u", n: 1, id: id(1), first: 3, accepted: 4}
	third := &event{user: "u", n: 2, id: id(2), first: 10, accepted: 11}
	sent := history{"u": {first, second, third}}
	for _, numbers := range [][]int{{0, 1, 2}, {1, 0, 2}} {
		if f := check(sent, kept(numbers...)); f.broken() != 0 {
			t.Errorf("%v: found %q", numbers, f.lines())
		}
	}
	for _, numbers := range [][]int{{2, 0, 1}, {0, 2, 1}, {1, 2, 0}} {
		if f := check(sent, kept(numbers...)); len(f.reordered) == 0 {
			t.Errorf("%v: found %q", numbers, f.lines())
		}
	}
}

func TestCheckOfTimestamps(t *testing.T) {
	sent := accepted(1)
	sent["u"][0].timestamp = time.Unix(5, 0)
	same := []stored{{id: id(0), user: "u", timestamp: time.Unix(5, 0).UTC()}}
	if f := check(sent, same); f.broken() != 0 {
		t.Errorf("found %q", f.lines())
	}
	if f := check(sent, kept(0)); len(f.different) != 1 {
		t.Errorf("found %q in another timestamp", f.lines())
	}
}

// Users do not disturb each other.
func TestCheckOfSeveralUsers(t *testing.T) {
	sent := accepted(2)
	sent["v"] = []*event{{user: "v", n: 0, id: "v-0", first: 100, accepted: 101}}
	all := []stored{{id: "v-0", user: "v"}, kept(0)[0], kept(1)[0]}
	if f := check(sent, all); f.broken() != 0 {
		t.Errorf("found %q", f.lines())
	}
}
