package main

import (
	"context"
	"time"
)

// spoolTimeout is the service's own default: an event must be on its way to the spool before it is over, on a busy disk too.
const spoolTimeout = 10 * time.Second

// useSpool has the service take events into a file while the broker is away.
func useSpool(_ context.Context, r *run) error {
	r.flags = append(r.flags, "--spool", "--publish-timeout", spoolTimeout.String())
	return nil
}

// kafkaAway kills Kafka for a while. What is sent meanwhile is accepted.
func kafkaAway(ctx context.Context, r *run) error {
	if err := control(ctx, "kafka", "kill"); err != nil {
		return err
	}
	r.harms++
	wait(ctx, r.lasting)
	return control(ctx, "kafka", "start")
}

// kafkaAwayAndKills kills the service, too, while Kafka is away.
func kafkaAwayAndKills(ctx context.Context, r *run) error {
	if err := control(ctx, "kafka", "kill"); err != nil {
		return err
	}
	for range r.times {
		wait(ctx, r.lasting/time.Duration(r.times))
		s, err := r.pool.only()
		if err != nil {
			return err
		}
		r.pool.kill(s)
		r.harms++
		if _, err := r.pool.start(ctx); err != nil {
			return err
		}
	}
	if err := control(ctx, "kafka", "start"); err != nil {
		return err
	}
	return r.awaitOnlyReady(ctx)
}

// checkSpooled finds that the spool was used, and that it was enough.
func checkSpooled(_ context.Context, r *run) error {
	if r.answers.of(spooledRequests) == 0 {
		r.fault("no answer said that an event was spooled")
	}
	if n := r.answers.of("503"); n > 0 {
		r.fault("%d requests were answered 503 in spite of the spool", n)
	}
	return nil
}
