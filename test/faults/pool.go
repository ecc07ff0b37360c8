package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// pool is the running services of one run of the suite. It is safe for concurrent use.
type pool struct {
	binary, logFile string
	environ, args   []string

	mu      sync.Mutex
	running []*process
	crashes []string
	turn    int
}

// startTimeout bounds a start, and the way to readiness; stopTimeout an end after SIGTERM, which includes the service's
// own --shutdown-timeout.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = shutdownTimeout + 5*time.Second
)

// start starts one more service and returns without waiting for it.
func (p *pool) start(ctx context.Context) (*process, error) {
	s, err := launch(ctx, p.binary, p.logFile, p.environ, p.args...)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, s)
	return s, nil
}

// startReady starts one more service and waits until it is ready.
func (p *pool) startReady(ctx context.Context) (*process, error) {
	s, err := p.start(ctx)
	if err != nil {
		return nil, err
	}
	return s, awaitReady(ctx, s)
}

// awaitReady waits until the service says that all its parts are up.
func awaitReady(ctx context.Context, s *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.awaitListening(ctx); err != nil {
		return err
	}
	for {
		status, body, err := get(ctx, s.address(), "/health/ready")
		if err == nil && status == 200 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the service is not ready after %s: %d %s %w", startTimeout, status, body, err)
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// pick returns a service that takes requests, each in turn, or nil where there is none.
func (p *pool) pick() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.running {
		p.turn++
		if s := p.running[p.turn%len(p.running)]; s.live() {
			return s
		}
	}
	return nil
}

// remove forgets a service that was ended.
func (p *pool) remove(s *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.running[:0]
	for _, other := range p.running {
		if other != s {
			kept = append(kept, other)
		}
	}
	p.running = kept
	if how, crashed := s.crashed(); crashed {
		p.crashes = append(p.crashes, how)
	}
}

// all returns the services.
func (p *pool) all() []*process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*process(nil), p.running...)
}

// kill ends one service by force.
func (p *pool) kill(s *process) {
	s.kill()
	p.remove(s)
}

// terminate ends one service gracefully.
func (p *pool) terminate(s *process) error {
	defer p.remove(s)
	return s.terminate(stopTimeout)
}

// killAll is for the end of a run.
func (p *pool) killAll() {
	for _, s := range p.all() {
		p.kill(s)
	}
}

// crashed says how services ended that nobody had ended.
func (p *pool) crashed() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.crashes
	for _, s := range p.running {
		if how, crashed := s.crashed(); crashed {
			all = append(all, how)
		}
	}
	return all
}

func newPool(binary, folder string, environ, args []string) *pool {
	return &pool{binary: binary, logFile: filepath.Join(folder, "service.log"), environ: environ, args: args}
}
