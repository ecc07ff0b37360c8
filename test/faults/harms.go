package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// harm is one thing that goes wrong.
type harm struct {
	name, about string
	// fits says where the harm makes sense.
	fits func(combination) bool
	// services is how many run from the start, one if it is 0.
	services int
	// prepare is called before the service starts, and inflict under load. What inflict breaks, it mends. It counts in
	// r.harms what it did.
	prepare, inflict func(ctx context.Context, r *run) error
	// verify checks what only this harm promises, after the load.
	verify func(ctx context.Context, r *run) error
	// jumps makes the load send timestamps that jump about.
	jumps bool
}

// harms is everything that the suite can do.
var harms = []harm{
	{
		name: "kill", about: "SIGKILL of the service at a random moment, also while it starts; started again at once",
		fits: anywhere, inflict: killService,
	},
}

// chosen returns the harms with the names, all of them where there is no name.
func chosen(names []string) ([]harm, error) {
	if len(names) == 0 {
		return harms, nil
	}
	var all []harm
	for _, name := range names {
		i := slices.IndexFunc(harms, func(h harm) bool { return h.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no harm %q: see --list", name)
		}
		all = append(all, harms[i])
	}
	return all, nil
}

// list describes the harms and where they fit.
func list() string {
	var b strings.Builder
	for _, h := range harms {
		var where []string
		for _, c := range defaults {
			if h.fits(c) {
				where = append(where, c.String())
			}
		}
		fmt.Fprintf(&b, "%-13s %s\n%-13s on %s\n", h.name, h.about, "", strings.Join(where, ", "))
	}
	return b.String()
}
