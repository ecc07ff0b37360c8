package sqlitelog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// ends are the two ends of a topic.
type ends struct {
	// first is the offset of the first record, next the one that the next record will get.
	first, next int64
	// before are the bytes of the values and keys of all records that were before the first one, through those and the ones of
	// all records.
	before, through int64
	// peak is the latest time of a record, in milliseconds since 1970.
	peak int64
}

// topic is a topic with its one partition. Its ends are those of the records that are on disk.
type topic struct {
	id   int64
	name string

	mu      sync.Mutex
	ends    ends
	changed chan struct{}
}

func newTopic(id int64, name string, e ends) *topic {
	return &topic{id: id, name: name, ends: e, changed: make(chan struct{})}
}

// look returns the ends, and a channel that is closed when they change.
func (t *topic) look() (ends, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ends, t.changed
}

// set changes the ends, and wakes who waits for that. Only the writer does so.
func (t *topic) set(e ends) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = e
	close(t.changed)
	t.changed = make(chan struct{})
}

// records is the name of the topic's table.
func (t *topic) records() string { return recordsTable(t.id) }

func recordsTable(id int64) string { return "records_" + strconv.FormatInt(id, 10) }

// createRecords makes a topic's table. A table for each topic keeps every insertion at the right edge of a B-tree, which
// SQLite has a fast path for. It has beside the record itself
//
//   - peak, the latest time up to this record, where that is later than its own, as the clock has been set back: so there is a
//     value that never falls, to find records by time;
//   - bytes, those of the values and keys of all records up to this one, those removed included: so the size of any stretch of
//     the log is one subtraction.
func createRecords(ctx context.Context, c *sql.Conn, id int64) error {
	_, err := c.ExecContext(ctx, "CREATE TABLE "+recordsTable(id)+` (
		"offset" INTEGER PRIMARY KEY,
		time     INTEGER NOT NULL,
		peak     INTEGER,
		bytes    INTEGER NOT NULL,
		key      BLOB,
		id       BLOB,
		headers  BLOB,
		value    BLOB NOT NULL
	) STRICT`)
	return err
}

// queryer is a connection or a pool of them.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readEnds reads the topic's ends from the file.
func readEnds(ctx context.Context, q queryer, id int64) (ends, error) {
	var e ends
	err := q.QueryRowContext(ctx, "SELECT first, bytes FROM topics WHERE id = ?", id).Scan(&e.first, &e.before)
	if err != nil {
		return ends{}, fmt.Errorf("read the ends of topic %d: %w", id, err)
	}
	e.next, e.through = e.first, e.before
	var last int64
	err = q.QueryRowContext(ctx, `SELECT "offset", coalesce(peak, time), bytes FROM `+recordsTable(id)+` ORDER BY "offset" DESC LIMIT 1`).
		Scan(&last, &e.peak, &e.through)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e, nil
	case err != nil:
		return ends{}, fmt.Errorf("read the last record of topic %d: %w", id, err)
	}
	e.next = last + 1
	return e, nil
}
