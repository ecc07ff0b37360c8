package postgres

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/netstreamflow/netstreamflow/domain"
)

// writer makes the transactions that write.
type writer struct {
	pool *pgxpool.Pool
	// turn holds one token, for the one who records: others of this process need not wait on the server.
	turn chan struct{}
	sampling

	// fault is why the last transaction failed, nil if it did not, or only for its data.
	fault atomic.Pointer[error]
}

func newWriter(pool *pgxpool.Pool) *writer {
	w := &writer{pool: pool, turn: make(chan struct{}, 1), sampling: defaultSampling}
	w.turn <- struct{}{}
	return w
}

// wait takes the turn, or returns when the context ends.
func (w *writer) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.turn:
		return nil
	}
}

func (w *writer) pass() { w.turn <- struct{}{} }

// transact calls f with a connection, on which f begins a transaction and commits it. After an error the connection is
// closed, which undoes the transaction. The first context is the caller's, the other one ends sooner.
func (w *writer) transact(ctx, bounded context.Context, f func(*pgx.Conn) error) error {
	conn, err := w.pool.Acquire(bounded)
	if err == nil {
		if err = f(conn.Conn()); err != nil {
			forget(ctx, w.pool, conn.Conn())
		}
		conn.Release()
	}
	err = failure(ctx, err)
	switch {
	case err == nil:
		w.fault.Store(nil)
	case ctx.Err() == nil && !errors.Is(err, domain.ErrInvalid):
		w.fault.Store(&err)
	}
	return err
}

// reply is a statement of a batch with what becomes of its rows.
type reply func(pgx.BatchResults) error

// pipeline sends statements in one go and reads their results in order.
type pipeline struct {
	batch   pgx.Batch
	replies []reply
}

func (p *pipeline) exec(text string, arguments ...any) {
	p.add(func(r pgx.BatchResults) error {
		_, err := r.Exec()
		return err
	}, text, arguments...)
}

func (p *pipeline) row(to any, text string, arguments ...any) {
	p.add(func(r pgx.BatchResults) error { return r.QueryRow().Scan(to) }, text, arguments...)
}

// rows calls each for every row, whose columns were read into the targets.
func (p *pipeline) rows(targets []any, each func() error, text string, arguments ...any) {
	p.add(func(r pgx.BatchResults) error {
		rows, err := r.Query()
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, targets, each)
		return err
	}, text, arguments...)
}

func (p *pipeline) add(r reply, text string, arguments ...any) {
	p.batch.Queue(text, arguments...)
	p.replies = append(p.replies, r)
}

// run returns the first error.
func (p *pipeline) run(ctx context.Context, conn *pgx.Conn) error {
	if len(p.replies) == 0 {
		return nil
	}
	results := conn.SendBatch(ctx, &p.batch)
	for _, read := range p.replies {
		if err := read(results); err != nil {
			_ = results.Close()
			return err
		}
	}
	return results.Close()
}
