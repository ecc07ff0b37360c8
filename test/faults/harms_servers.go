package main

import (
	"context"
	"errors"
	"time"
)

// away is how long a killed server stays away.
const away = time.Second

// killServer kills a server, by its script, and starts it again.
func killServer(script string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if err := control(ctx, script, "kill"); err != nil {
			return err
		}
		r.harms++
		wait(ctx, away)
		return control(ctx, script, "start")
	}
}

// pauseServer stops a server's process for a while: it holds its connections and answers nothing.
func pauseServer(script string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if err := control(ctx, script, "pause"); err != nil {
			return err
		}
		r.harms++
		wait(ctx, r.lasting)
		return control(ctx, script, "resume")
	}
}

// untilReady waits, after the harm, until the service says that all its parts are up again.
func untilReady(inflict func(context.Context, *run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if err := inflict(ctx, r); err != nil {
			return err
		}
		s, err := r.pool.only()
		if err != nil {
			return errors.Join(errors.New("the service must outlive this harm"), err)
		}
		return awaitReady(ctx, s)
	}
}
