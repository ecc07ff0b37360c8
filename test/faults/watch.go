package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// part is a part of the service's surroundings that a harm takes away.
type part int

const (
	nothing part = iota
	broker
	store
	// disk is that of the embedded log, or else that of the store.
	disk
)

func (p part) of(c combination) part {
	switch {
	case p != disk:
		return p
	case c.embedded():
		return broker
	default:
		return store
	}
}

// outlived does a harm that the service must outlive. While it lasts, the process is alive; while a part is away, the
// service says that it is not ready, answers queries if it is the broker, and accepts events if it is the store. Afterwards
// it becomes ready again by itself.
func outlived(away part, inflict func(context.Context, *run) error) func(context.Context, *run) error {
	return watched(away, true, inflict)
}

// bridged is outlived for a part that is back so soon that a health check, which waits for an answer for some seconds, need
// not see that it was away.
func bridged(away part, inflict func(context.Context, *run) error) func(context.Context, *run) error {
	return watched(away, false, inflict)
}

func watched(away part, noticed bool, inflict func(context.Context, *run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		s, err := r.pool.only()
		if err != nil {
			return err
		}
		w := &watch{run: r, service: s, away: away.of(r.combination), noticed: noticed}
		err = w.during(ctx, func() error { return inflict(ctx, r) })
		if err != nil {
			return err
		}
		if s, err = r.pool.only(); err != nil {
			return errors.Join(errors.New("the service must outlive this harm"), err)
		}
		return awaitReady(ctx, s)
	}
}

// watch looks at a service while harm is done.
type watch struct {
	run     *run
	service *process
	away    part
	// noticed says that the service must say that it is not ready.
	noticed bool

	// unready is when the service first said that it is not ready, zero if it never did.
	unready time.Time
	// accepted is how many events were accepted when it did.
	accepted int
}

func (w *watch) during(ctx context.Context, inflict func() error) error {
	watching, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for watching.Err() == nil {
			w.look(watching)
			wait(watching, 100*time.Millisecond)
		}
	})
	err := inflict()
	accepted := w.run.answers.of(acceptedEvents)
	stop()
	running.Wait()
	if err == nil && w.away != nothing && w.noticed {
		w.conclude(accepted)
	}
	return err
}

// patience is how long an answer that needs nothing that is away may take on a busy machine.
const patience = 5 * time.Second

func (w *watch) look(ctx context.Context) {
	if ready, ok := w.status(ctx, "/health/ready"); ok && ready == http.StatusServiceUnavailable && w.unready.IsZero() {
		w.unready, w.accepted = time.Now(), w.run.answers.of(acceptedEvents)
	}
	w.mustAnswer(ctx, "/health/live")
	if w.away == broker {
		w.mustAnswer(ctx, "/api/events?limit=1")
	}
}

func (w *watch) mustAnswer(ctx context.Context, path string) {
	if status, ok := w.status(ctx, path); ok && status != http.StatusOK {
		w.run.answers.refuse("GET %s is answered with %d during the harm (0: not within %s)", path, status, patience)
	}
}

// status is 0 where there is no answer; it is not known when the look was cut short.
func (w *watch) status(ctx context.Context, path string) (status int, known bool) {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, _, err := get(asking, w.service.address(), path)
	if err != nil {
		status = 0
	}
	return status, ctx.Err() == nil
}

func (w *watch) conclude(accepted int) {
	switch {
	case w.unready.IsZero():
		w.run.fault("the service was ready all the time")
	case w.away == store && accepted == w.accepted:
		w.run.fault("no event was accepted while the store was away")
	}
}
