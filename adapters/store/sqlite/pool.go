package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"modernc.org/sqlite"
)

// pool holds connections that only read. It is safe for concurrent use.
type pool struct {
	connector driver.Connector
	// turns has a token for each connection that may still be used.
	turns chan struct{}

	mu sync.Mutex
	// idle are those that nobody uses. The one used last is used next: few are made, and their caches are warm.
	idle []*connection
}

func newPool(path string, size int) (*pool, error) {
	connector, err := sqlite.NewConnector(readerDSN(path))
	if err != nil {
		return nil, err
	}
	p := &pool{connector: connector, turns: make(chan struct{}, size)}
	for range size {
		p.turns <- struct{}{}
	}
	return p, nil
}

// get waits for a connection.
func (p *pool) get(ctx context.Context) (*connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.turns:
	}
	if c := p.pop(); c != nil {
		return c, nil
	}
	c, err := connect(ctx, p.connector)
	if err != nil {
		p.turns <- struct{}{}
	}
	return c, err
}

func (p *pool) pop() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle = p.idle[:last]
	return c
}

// put gives a connection back after what it was used for, which an error may have broken.
func (p *pool) put(c *connection, err error) {
	if err != nil && !passing(err) {
		_ = c.close()
	} else {
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	}
	p.turns <- struct{}{}
}

// with calls f with a connection.
func (p *pool) with(ctx context.Context, f func(*connection) error) error {
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	err = f(c)
	p.put(c, err)
	return err
}

// close waits for those that are in use.
func (p *pool) close() error {
	var errs []error
	for range cap(p.turns) {
		<-p.turns
	}
	for c := p.pop(); c != nil; c = p.pop() {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
