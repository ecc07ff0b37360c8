package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
)

// writer is the one connection that writes. It goes without package sql, whose part of the cost of a row would be as large
// as the driver's.
type writer struct {
	connector driver.Connector
	// turn holds one token, for the one who uses what follows.
	turn chan struct{}

	// conn is nil until it is needed, and after an error that it may not have survived.
	conn driver.Conn
	// statements are those that the connection has prepared.
	statements map[string]driver.Stmt
	// paired are the users whose events are in the table pairs, nil when it has to be asked.
	paired map[string]bool
	sampling
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
			// Its outcome must be known: the context does not end it.
			_, err = w.exec(`COMMIT`)
		}
	}
	if err != nil {
		w.undo(err)
	}
	return failure(ctx, err)
}

// begin connects if need be and starts a transaction.
func (w *writer) begin(ctx context.Context) (err error) {
	if w.conn == nil {
		if w.conn, err = w.connector.Connect(ctx); err != nil {
			return err
		}
		w.statements = make(map[string]driver.Stmt)
	}
	s, err := w.statement(`BEGIN IMMEDIATE`)
	if err != nil {
		return err
	}
	if _, err := s.ExecContext(ctx, nil); err != nil {
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
	if w.conn == nil {
		return
	}
	_, _ = w.exec(`ROLLBACK`)
	if !passing(cause) {
		_ = w.disconnect()
	}
}

func (w *writer) disconnect() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	errs = append(errs, w.conn.Close())
	w.conn, w.statements, w.paired = nil, nil, nil
	return errors.Join(errs...)
}

// close waits for a transaction under way.
func (w *writer) close() error {
	<-w.turn
	return w.disconnect()
}

// statement is what the driver gives for one that it has prepared.
type statement interface {
	driver.StmtExecContext
	driver.StmtQueryContext
}

var errDriver = errors.New("the driver lacks an interface")

// statement returns the prepared statement of the text.
func (w *writer) statement(text string) (statement, error) {
	prepared := w.statements[text]
	if prepared == nil {
		var err error
		if prepared, err = w.conn.Prepare(text); err != nil {
			return nil, err
		}
		w.statements[text] = prepared
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, fmt.Errorf("prepare: %w", errDriver)
	}
	return s, nil
}

// exec runs a statement and returns how many rows it changed. What can take long has a context of its own around it: one
// that can end would cost each statement a goroutine.
func (w *writer) exec(text string, values ...driver.Value) (changed int64, err error) {
	s, err := w.statement(text)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), named(values))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query calls each with every row.
func (w *writer) query(text string, each func(row []driver.Value) error, values ...driver.Value) (err error) {
	s, err := w.statement(text)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), named(values))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(row); err != nil {
			return err
		}
	}
}

func named(values []driver.Value) []driver.NamedValue {
	args := make([]driver.NamedValue, len(values))
	for i, v := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return args
}

// integers returns the first row, which has only integers; ok is false when there is none.
func (w *writer) integers(text string, values ...driver.Value) (row []int64, ok bool, err error) {
	err = w.query(text, func(columns []driver.Value) error {
		for _, c := range columns {
			n, isInteger := c.(int64)
			if !isInteger {
				return fmt.Errorf("read an integer: %w", errDriver)
			}
			row = append(row, n)
		}
		ok = true
		return nil
	}, values...)
	return row, ok, err
}
