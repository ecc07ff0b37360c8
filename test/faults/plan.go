package main

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// task is a run to be made.
type task struct {
	combination combination
	harm        harm
	times       int
}

// plan does every harm to every combination that it fits.
func plan(all []combination, which []harm, times int) []task {
	var tasks []task
	for _, h := range which {
		for _, c := range all {
			if h.fits(c) {
				tasks = append(tasks, task{c, h, times})
			}
		}
	}
	return tasks
}

// runAll makes the runs one after the other. The error says how many have found something broken.
func runAll(ctx context.Context, o options, tasks []task) error {
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
		if err := ctx.Err(); err != nil {
			return err
		}
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
	o.times = t.times
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
