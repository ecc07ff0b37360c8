package main

import "testing"

// The selection for every change covers what it says.
func TestShort(t *testing.T) {
	done, runs, kills := make(map[string]bool), make(map[combination]int), 0
	for _, task := range short() {
		if !task.harm.fits(task.combination) {
			t.Errorf("%s does not fit %s", task.harm.name, task.combination)
		}
		done[task.harm.name] = true
		runs[task.combination]++
		if task.harm.name == "kill" {
			kills += task.times
		}
	}
	for _, h := range harms {
		if !done[h.name] {
			t.Errorf("%s is not done", h.name)
		}
	}
	for _, c := range defaults {
		if runs[c] < 2 {
			t.Errorf("%s is run %d times", c, runs[c])
		}
	}
	if kills < 20 {
		t.Errorf("the service is killed %d times", kills)
	}
}

func TestCombinations(t *testing.T) {
	tests := []struct {
		brokers, stores []string
		want            int
	}{
		{nil, nil, 5},
		{[]string{kafka}, nil, 2},
		{nil, []string{sqlite}, 3},
		{nil, []string{memory}, 3},
		{[]string{kafka, embedded}, []string{sqlite, postgres}, 4},
		{[]string{embedded}, []string{memory}, 1},
	}
	for _, tt := range tests {
		if got, err := combinations(tt.brokers, tt.stores); err != nil || len(got) != tt.want {
			t.Errorf("%q with %q: got %v, %v, want %d", tt.brokers, tt.stores, got, err, tt.want)
		}
	}
	for _, bad := range [][2][]string{{{"other"}, nil}, {nil, {"other"}}} {
		if got, err := combinations(bad[0], bad[1]); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestChosen(t *testing.T) {
	if got, err := chosen(nil); err != nil || len(got) != len(harms) {
		t.Errorf("got %d harms, %v", len(got), err)
	}
	if got, err := chosen([]string{"term", "kill"}); err != nil || len(got) != 2 || got[0].name != "term" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := chosen([]string{"other"}); err == nil {
		t.Error("an unknown harm is found")
	}
}
