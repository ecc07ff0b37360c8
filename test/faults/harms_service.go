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

// killService kills the service again and again. One time of four the new one does not get as far as to listen.
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
		if s, err = r.pool.start(ctx); err != nil {
			return err
		}
	}
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
