package postgres

import (
	"context"
	"sync"
)

// preparation runs what must be done once before the first use, and again after it failed. It goes on when those who wait
// for it give up, until stop.
type preparation struct {
	run  func(context.Context) error
	life context.Context //nolint:containedctx // that of the attempts, which outlive their callers
	end  context.CancelFunc

	mu      sync.Mutex
	done    bool
	attempt *attempt
	running sync.WaitGroup
}

type attempt struct {
	over chan struct{}
	err  error
}

func newPreparation(run func(context.Context) error) *preparation {
	p := &preparation{run: run}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// await returns when it is done, when the attempt under way has failed, or when the context ends.
func (p *preparation) await(ctx context.Context) error {
	a := p.begin()
	if a == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-a.over:
		return a.err
	}
}

// begin returns the attempt under way, a new one if there is none, nil when it is done.
func (p *preparation) begin() *attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.attempt != nil {
		return p.attempt
	}
	a := &attempt{over: make(chan struct{})}
	p.attempt = a
	p.running.Go(func() {
		a.err = p.run(p.life)
		p.mu.Lock()
		p.done, p.attempt = a.err == nil, nil
		p.mu.Unlock()
		close(a.over)
	})
	return a
}

// stop ends an attempt under way and waits for it.
func (p *preparation) stop() {
	p.end()
	p.running.Wait()
}
