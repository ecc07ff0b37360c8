package sqlitelog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
)

// session is the connection that writes, with its statements. One goroutine uses it.
type session struct {
	conn *sql.Conn
	// The statements of a transaction; [sql.Tx] would start a goroutine for each.
	begin, commit, rollback, place *sql.Stmt
	// inserts are the statements for each topic, by their number of rows.
	inserts map[int64]map[int]*sql.Stmt
	args    []any
}

const (
	// columns is how many a table of records has.
	columns = 8
	// preparedTopics bounds the topics whose statements are kept.
	preparedTopics = 16
)

// rowCounts are the numbers of rows that one statement inserts. With many rows the cost of a call is shared.
var rowCounts = [...]int{64, 8, 1}

func newSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, inserts: map[int64]map[int]*sql.Stmt{}}
	for _, each := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.place, `INSERT INTO groups (topic, name, next) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next`},
	} {
		if *each.stmt, err = conn.PrepareContext(ctx, each.query); err != nil { //nolint:sqlclosecheck // finalize closes it
			s.discard()
			return nil, err
		}
	}
	return s, nil
}

// discard closes the connection for good, whatever its state.
func (s *session) discard() {
	s.finalize()
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool then closes it
	_ = s.conn.Close()                                           // it was used up
}

// release gives the connection back.
func (s *session) release() {
	s.finalize()
	_ = s.conn.Close() // it goes back to the pool
}

// finalize closes the statements: SQLite keeps a connection's files open until they are.
func (s *session) finalize() {
	s.forget()
	for _, stmt := range []*sql.Stmt{s.begin, s.commit, s.rollback, s.place} {
		if stmt != nil {
			_ = stmt.Close() // nothing is under way
		}
	}
}

// transaction runs do between BEGIN and COMMIT. uncertain says that the commit failed, and may have happened all the same.
func (s *session) transaction(ctx context.Context, do func() error) (uncertain bool, err error) {
	if _, err := s.begin.ExecContext(ctx); err != nil {
		return false, fmt.Errorf("begin a transaction: %w", err)
	}
	if err := do(); err != nil {
		_, _ = s.rollback.ExecContext(ctx) // SQLite may have done so itself
		return false, err
	}
	if _, err := s.commit.ExecContext(ctx); err != nil {
		_, _ = s.rollback.ExecContext(ctx) // SQLite may have done so itself
		return true, fmt.Errorf("commit: %w", err)
	}
	return false, nil
}

// insert appends the records to the topic's table, from offset next of e on, and returns the ends with them.
func (s *session) insert(ctx context.Context, t *topic, e ends, milliseconds int64, records []record) (ends, error) {
	for len(records) > 0 {
		n := 1
		for _, n = range rowCounts {
			if n <= len(records) {
				break
			}
		}
		stmt, err := s.insertion(ctx, t, n) //nolint:sqlclosecheck // forget closes it
		if err != nil {
			return e, err
		}
		s.args = s.args[:0]
		for _, r := range records[:n] {
			e = s.bind(e, milliseconds, r)
		}
		if _, err := stmt.ExecContext(ctx, s.args...); err != nil {
			return e, fmt.Errorf("append to %s: %w", t.name, err)
		}
		records = records[n:]
	}
	clear(s.args) // they hold the values
	return e, nil
}

// bind adds the columns of the record, and returns the ends with it.
func (s *session) bind(e ends, milliseconds int64, r record) ends {
	var peak any
	if e.peak > milliseconds && e.next > e.first {
		peak = e.peak
	} else {
		e.peak = milliseconds
	}
	e.through += int64(r.size())
	s.args = append(s.args, e.next, milliseconds, peak, e.through, nullable(r.key), nullable(r.id), nullable(r.headers), r.value)
	e.next++
	return e
}

// nullable makes a NULL of nil, and of nothing else.
func nullable(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func (s *session) insertion(ctx context.Context, t *topic, rows int) (*sql.Stmt, error) {
	if stmt := s.inserts[t.id][rows]; stmt != nil {
		return stmt, nil
	}
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	stmt, err := s.conn.PrepareContext(ctx, "INSERT INTO "+t.records()+" VALUES "+row+strings.Repeat(","+row, rows-1)) //nolint:gosec // the table's name is ours
	if err != nil {
		return nil, fmt.Errorf("append to %s: %w", t.name, err)
	}
	if s.inserts[t.id] == nil {
		if len(s.inserts) >= preparedTopics {
			s.forget()
		}
		s.inserts[t.id] = map[int]*sql.Stmt{}
	}
	s.inserts[t.id][rows] = stmt
	return stmt, nil
}

// forget closes the statements of all topics.
func (s *session) forget() {
	for _, each := range s.inserts {
		for _, stmt := range each {
			_ = stmt.Close() // nothing is under way
		}
	}
	clear(s.inserts)
}
