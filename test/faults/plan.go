package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// task is a run to be made.
type task struct {
	combination combination
	harm        harm
	// times and lasting are as the flags --times and --seconds.
	times   int
	lasting time.Duration
}

// plan does every harm to every combination that it fits.
func plan(all []combination, which []harm, times int, lasting time.Duration) []task {
	var tasks []task
	for _, h := range which {
		for _, c := range all {
			if h.fits(c) {
				tasks = append(tasks, task{c, h, times, lasting})
			}
		}
	}
	return tasks
}

// short is a selection for every change: each harm at least once, each combination at least twice, and 20 kills.
func short() []task {
	const lasting = 5 * time.Second
	var tasks []task
	for _, row := range []struct {
		harm, broker, store string
		times               int
	}{
		{"kill", kafka, sqlite, 4},
		{"kill", kafka, postgres, 4},
		{"kill", confluent, postgres, 4},
		{"kill", embedded, sqlite, 8},
		{"term", kafka, postgres, 3},
		{"term", embedded, sqlite, 3},
		{"instances", kafka, postgres, 3},
		{"kafka-kill", confluent, sqlite, 1},
		{"kafka-pause", confluent, postgres, 1},
		{"spool", kafka, sqlite, 1},
		{"spool-kill", confluent, postgres, 2},
		{"postgres-kill", kafka, postgres, 1},
		{"postgres-pause", confluent, postgres, 1},
		{"slow-broker", kafka, sqlite, 1},
		{"cut-broker", confluent, sqlite, 1},
		{"slow-store", confluent, postgres, 1},
		{"cut-store", kafka, postgres, 1},
		{"full-disk", embedded, sqlite, 1},
		{"full-disk", kafka, sqlite, 1},
		{"poison", kafka, sqlite, 2},
		{"poison", confluent, postgres, 2},
		{"clock", embedded, sqlite, 1},
	} {
		which, err := chosen([]string{row.harm})
		if err != nil {
			panic(err) // a name above is wrong, which a test finds
		}
		tasks = append(tasks, task{combination{row.broker, row.store}, which[0], row.times, lasting})
	}
	return tasks
}

// possible leaves out what this machine cannot do, and says so.
func possible(tasks []task) []task {
	var rest []task
	for _, t := range tasks {
		if t.harm.possible != nil {
			if err := t.harm.possible(); err != nil {
				fmt.Printf("note: NOT DONE: %s on %s: %v\n", t.harm.name, t.combination, err)
				continue
			}
		}
		rest = append(rest, t)
	}
	return rest
}

// runAll makes the runs one after the other. The error says how many have found something broken.
func runAll(ctx context.Context, o options, tasks []task) error {
	if len(tasks) == 0 {
		return errors.New("there is nothing to do: none of the harms fits, see --list")
	}
	if err := o.servers.check(tasks); err != nil {
		return err
	}
	p, err := newPrograms(needsCgo(tasks))
	if err != nil {
		return err
	}
	defer p.remove() //nolint:errcheck // it is a temporary folder
	broken := 0
	for _, t := range tasks {
		binary, err := p.forHarm(ctx, t.harm)
		if err != nil {
			return err
		}
		ok, err := t.run(ctx, o, binary)
		if err != nil {
			return err
		}
		if !ok {
			broken++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d runs broke a promise", broken, len(tasks))
	}
	return nil
}

func needsCgo(tasks []task) bool {
	return slices.ContainsFunc(tasks, func(t task) bool { return t.combination.broker == confluent })
}

// run makes one run and prints what it found; false says that a promise was broken.
func (t task) run(ctx context.Context, o options, binary string) (bool, error) {
	o.times, o.lasting = t.times, t.lasting
	r, err := newRun(o, t.combination, t.harm, binary)
	if err != nil {
		return false, err
	}
	if err := r.execute(ctx); err != nil {
		r.fault("%v", err)
	}
	fmt.Println("note: " + r.line())
	if r.broken() {
		r.detail(os.Stdout)
		return false, nil
	}
	return true, os.RemoveAll(r.folder)
}
