package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// connection is the driver's, with the statements that it has prepared. It goes without package sql, whose part of the cost
// of a row would be as large as the driver's. It is for one goroutine at a time.
type connection struct {
	conn       driver.Conn
	statements map[string]statement
}

// statement is what the driver gives for one that it has prepared.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

var errDriver = errors.New("the driver gives something else than it should")

func connect(ctx context.Context, connector driver.Connector) (*connection, error) {
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, statements: make(map[string]statement)}, nil
}

// statement returns the prepared statement of the text.
func (c *connection) statement(text string) (statement, error) {
	if s := c.statements[text]; s != nil {
		return s, nil
	}
	prepared, err := c.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("prepare: %w", errDriver), prepared.Close())
	}
	c.statements[text] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed. No context ends it: one that can end costs each statement a
// goroutine. What takes long is made of many statements.
func (c *connection) exec(text string, values ...driver.Value) (changed int64, err error) {
	return c.run(context.Background(), text, named(values))
}

func (c *connection) run(ctx context.Context, text string, args []driver.NamedValue) (changed int64, err error) {
	s, err := c.statement(text)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query calls each with every row, until it returns false or an error. The row's bytes may be kept, the row may not.
func (c *connection) query(text string, each func(row []driver.Value) (more bool, err error), values ...driver.Value) (err error) {
	s, err := c.statement(text)
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
		if more, err := each(row); err != nil || !more {
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

// integers returns the first row, which has only integers, nil when there is none.
func (c *connection) integers(text string, values ...driver.Value) (row []int64, err error) {
	err = c.query(text, func(columns []driver.Value) (bool, error) {
		for _, column := range columns {
			n, ok := column.(int64)
			if !ok {
				return false, fmt.Errorf("read an integer: %w", errDriver)
			}
			row = append(row, n)
		}
		return false, nil
	}, values...)
	return row, err
}

// bytes returns the first row, which is one value of bytes; found is false when there is none.
func (c *connection) bytes(text string, values ...driver.Value) (value []byte, found bool, err error) {
	err = c.query(text, func(columns []driver.Value) (bool, error) {
		value, found = columns[0].([]byte)
		return false, nil
	}, values...)
	return value, found, err
}

func (c *connection) close() error {
	errs := make([]error, 0, len(c.statements)+1)
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}
