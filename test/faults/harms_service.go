package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// between is a random time.
func between(least, most time.Duration) time.Duration {
	return least + time.Duration(rand.Int64N(int64(most-least)))
}

// killService kills the service again and again. One time of four the new one may not get as far as to listen.
func killService(ctx context.Context, r *run) error {
	for i := range r.times {
		s, err := r.pool.only()
		if err != nil {
			return err
		}
		if i%4 != 3 {
			if err := s.awaitListening(ctx); err != nil {
				return err
			}
		}
		wait(ctx, between(10*time.Millisecond, 1500*time.Millisecond))
		r.pool.kill(s)
		r.harms++
		if _, err = r.pool.start(ctx); err != nil {
			return err
		}
	}
	return r.awaitOnlyReady(ctx)
}

// terminateService ends the service gracefully again and again, each time with requests half-way in.
func terminateService(ctx context.Context, r *run) error {
	for i := range r.times {
		s, err := r.pool.only()
		if err != nil {
			return err
		}
		if err := awaitReady(ctx, s); err != nil {
			return err
		}
		wait(ctx, between(200*time.Millisecond, time.Second))
		halves, err := r.sendHalves(ctx, s, i)
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- r.pool.terminate(s) }()
		s.awaitEnding(ctx)
		wait(ctx, inFlight)
		for _, h := range halves {
			r.finish(h)
		}
		if err := <-ended; err != nil {
			r.fault("%v", err)
		}
		r.harms++
		if _, err := r.pool.start(ctx); err != nil {
			return err
		}
	}
	return r.awaitOnlyReady(ctx)
}

// onInstances kills one of several services every few seconds, and has another one join.
func onInstances(ctx context.Context, r *run) error {
	for range r.times {
		all := r.pool.all()
		r.pool.kill(all[rand.IntN(len(all))])
		r.harms++
		wait(ctx, between(300*time.Millisecond, 2*time.Second))
		if _, err := r.pool.start(ctx); err != nil {
			return err
		}
		wait(ctx, between(time.Second, 4*time.Second))
	}
	for _, s := range r.pool.all() {
		if err := awaitReady(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) awaitOnlyReady(ctx context.Context) error {
	s, err := r.pool.only()
	if err != nil {
		return err
	}
	return awaitReady(ctx, s)
}

// only returns the one service that runs.
func (p *pool) only() (*process, error) {
	all := p.all()
	if len(all) != 1 {
		return nil, fmt.Errorf("%d services run, not one", len(all))
	}
	return all[0], nil
}
