package sqlite

import (
	"context"
	"database/sql/driver"
	"sync/atomic"

	"modernc.org/sqlite"
)

// writer is the one connection that writes.
type writer struct {
	connector driver.Connector
	// turn holds one token, for the one who uses what follows.
	turn chan struct{}

	// connection is nil until it is needed, and after an error that it may not have survived.
	*connection
	// paired are the users whose events are in the table pairs, nil when it has to be asked.
	paired map[string]bool
	sampling

	// fault is why the last transaction failed, nil if it did not.
	fault atomic.Pointer[error]
}

func newWriter(path string) (*writer, error) {
	connector, err := sqlite.NewConnector(writerDSN(path))
	if err != nil {
		return nil, err
	}
	w := &writer{connector: connector, turn: make(chan struct{}, 1), sampling: defaultSampling}
	w.turn <- struct{}{}
	return w, nil
}

// transact runs f inside a transaction, which is undone when f or the transaction's end fails.
func (w *writer) transact(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.turn:
	}
	defer func() { w.turn <- struct{}{} }()
	err := w.begin(ctx)
	if err == nil {
		if err = f(); err == nil {
			_, err = w.exec(`COMMIT`)
		}
	}
	if err == nil {
		w.fault.Store(nil)
		return nil
	}
	w.undo(err)
	err = failure(ctx, err)
	if ctx.Err() == nil {
		w.fault.Store(&err)
	}
	return err
}

// begin connects if need be and starts a transaction.
func (w *writer) begin(ctx context.Context) (err error) {
	if w.connection == nil {
		if w.connection, err = connect(ctx, w.connector); err != nil {
			w.connection = nil
			return err
		}
	}
	// It may wait for another program that has the file.
	if _, err := w.run(ctx, `BEGIN IMMEDIATE`, nil); err != nil {
		return err
	}
	if w.paired == nil {
		w.paired, err = w.pairedUsers()
	}
	return err
}

// undo ends the transaction, which SQLite has done already after some errors.
func (w *writer) undo(cause error) {
	w.paired = nil
	if w.connection == nil {
		return
	}
	_, _ = w.exec(`ROLLBACK`)
	if !passing(cause) {
		_ = w.disconnect()
		return
	}
	if isFull(cause) {
		// What is in the write-ahead log may need less room in the file; then there is room in the log again.
		_, _ = w.exec(`PRAGMA wal_checkpoint(PASSIVE)`)
	}
}

func (w *writer) disconnect() error {
	if w.connection == nil {
		return nil
	}
	err := w.connection.close()
	w.connection = nil
	return err
}

// close waits for a transaction under way.
func (w *writer) close() error {
	<-w.turn
	return w.disconnect()
}
