package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite"
)

// pool holds connections that only read. It is safe for concurrent use.
type pool struct {
	connector driver.Connector
	// free has the connections that nobody uses, nil for each that has not been made yet.
	free chan *connection
}

func newPool(path string, size int) (*pool, error) {
	connector, err := sqlite.NewConnector(readerDSN(path))
	if err != nil {
		return nil, err
	}
	p := &pool{connector: connector, free: make(chan *connection, size)}
	for range size {
		p.free <- nil
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
	case c := <-p.free:
		if c != nil {
			return c, nil
		}
	}
	c, err := connect(ctx, p.connector)
	if err != nil {
		p.free <- nil
	}
	return c, err
}

// put gives a connection back after what it was used for, which an error may have broken.
func (p *pool) put(c *connection, err error) {
	if err != nil && !passing(err) {
		_ = c.close()
		c = nil
	}
	p.free <- c
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
	for range cap(p.free) {
		if c := <-p.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}
