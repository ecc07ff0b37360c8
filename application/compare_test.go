package application

import (
	"fmt"
	"slices"
	"testing"

	"github.com/netstreamflow/netstreamflow/domain"
)

// recordsOf returns the entries of a log of three users in two partitions.
func recordsOf(t *testing.T, n int) []Entry {
	t.Helper()
	entries := make([]Entry, n)
	for i := range entries {
		d := domain.Draft{UserID: fmt.Sprintf("user-%d", i%3), EventType: "t", Metadata: fmt.Appendf(nil, `{"n":%d}`, i)}
		event, err := d.Event(noon)
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = Entry{Event: event, Position: Position{Partition: int32(i % 3 % 2), Offset: int64(i)}, Accepted: noon}
	}
	return entries
}

// compare runs a comparison in so many passes.
func compare(t *testing.T, log, store []Entry, passes int, trimmed bool, exempt func(Entry) bool) Report {
	t.Helper()
	var r Report
	for pass := range passes {
		c := NewComparison(&r, pass, passes, trimmed)
		for _, e := range log {
			c.Logged(e, exempt(e))
		}
		for _, e := range store {
			if err := c.Stored(e.Event.JSON()); err != nil {
				t.Fatal(err)
			}
		}
		c.Done()
	}
	return r
}

func TestComparison(t *testing.T) {
	log := recordsOf(t, 30)
	other, err := domain.Draft{ID: log[6].Event.ID(), UserID: "user-0", EventType: "other"}.Event(noon)
	if err != nil {
		t.Fatal(err)
	}
	swapped := slices.Clone(log)
	swapped[3], swapped[9] = swapped[9], swapped[3] // both of user-0
	interleaved := slices.Clone(log)
	interleaved[1], interleaved[2] = interleaved[2], interleaved[1] // of two users
	changed := slices.Clone(log)
	changed[6].Event = other
	late := func(e Entry) bool { return e.Position.Offset >= 25 }
	never := func(Entry) bool { return false }
	tests := map[string]struct {
		log, store []Entry
		trimmed    bool
		exempt     func(Entry) bool
		// want are missing, extra, different, misplaced, older, exempt.
		want [6]int64
	}{
		"alike":                     {log: log, store: log},
		"nothing":                   {},
		"another order of users":    {log: log, store: interleaved},
		"twice in the log":          {log: append(slices.Clone(log), log[:7]...), store: log},
		"missing":                   {log: log, store: append(slices.Clone(log[:4]), log[5:]...), want: [6]int64{1}},
		"extra":                     {log: log[:28], store: log, want: [6]int64{1: 2}},
		"extra at the start":        {log: log[6:], store: log, want: [6]int64{1: 6}},
		"older than a trimmed log":  {log: log[6:], store: log, trimmed: true, want: [6]int64{4: 6}},
		"extra in a trimmed log":    {log: append(slices.Clone(log[6:12]), log[13:]...), store: log, trimmed: true, want: [6]int64{1: 1, 4: 6}},
		"different":                 {log: log, store: changed, want: [6]int64{2: 1}},
		"out of order":              {log: log, store: swapped, want: [6]int64{3: 2}},
		"not taken yet":             {log: log, store: log[:25], exempt: late, want: [6]int64{5: 5}},
		"taken although not needed": {log: log, store: log, exempt: late},
	}
	for name, tt := range tests {
		for _, passes := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s in %d", name, passes), func(t *testing.T) {
				if tt.exempt == nil {
					tt.exempt = never
				}
				r := compare(t, tt.log, tt.store, passes, tt.trimmed, tt.exempt)
				got := [6]int64{r.Missing.Count, r.Extra.Count, r.Different.Count, r.Misplaced.Count, r.Older, r.Exempt}
				if got != tt.want {
					t.Errorf("got %v, want %v: %+v", got, tt.want, r)
				}
				if agrees := tt.want[0]+tt.want[1]+tt.want[2]+tt.want[3] == 0; r.Agrees() != agrees {
					t.Errorf("agrees: %t", r.Agrees())
				}
				if r.Store.Events != int64(len(tt.store)) {
					t.Errorf("%d events counted in the store of %d", r.Store.Events, len(tt.store))
				}
			})
		}
	}
}

func TestComparisonOfGarbage(t *testing.T) {
	if err := NewComparison(&Report{}, 0, 1, false).Stored([]byte(`{`)); err == nil {
		t.Error("an event of the store that cannot be read is passed over")
	}
}

func TestChecksum(t *testing.T) {
	sum := func(events ...string) string {
		var c Checksum
		for _, e := range events {
			c.Add([]byte(e))
		}
		return fmt.Sprint(c.Events, " ", c.String())
	}
	if sum("a", "b", "c") != sum("c", "a", "b") {
		t.Error("the order matters")
	}
	seen := map[string]bool{}
	for _, s := range []string{sum(), sum("a"), sum("b"), sum("a", "a"), sum("a", "b"), sum("ab")} {
		if seen[s] {
			t.Errorf("two sets have the checksum %s", s)
		}
		seen[s] = true
	}
	// One event's checksum is its SHA-256.
	if want := "1 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; sum("abc") != want {
		t.Errorf("got %s, want %s", sum("abc"), want)
	}
}
