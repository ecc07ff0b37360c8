package main

import (
	"context"
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
