package sqlitelog

import (
	"context"
	"database/sql"
	"fmt"
)

const (
	// chunkRecords and chunkBytes bound what a subscription reads at once; a larger record goes alone.
	chunkRecords = 512
	chunkBytes   = 1 << 20
)

// found is a record with its place.
type found struct {
	offset, milliseconds int64
	record               record
}

// reader reads a topic in chunks. One goroutine uses it.
type reader struct {
	db    *sql.DB
	topic *topic
	next  int64
	// found is the last chunk.
	found []found
	stmt  *sql.Stmt
}

func newReader(db *sql.DB, t *topic, next int64) *reader {
	return &reader{db: db, topic: t, next: next}
}

func (r *reader) close() {
	if r.stmt != nil {
		_ = r.stmt.Close() // nothing is under way
	}
}

// load waits for records from next on, and reads a chunk of them. It goes over what has been trimmed.
func (r *reader) load(ctx context.Context) error {
	clear(r.found)
	r.found = r.found[:0]
	for {
		e, changed := r.topic.look()
		r.next = max(r.next, e.first)
		if r.next >= e.next {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := r.query(ctx); err != nil {
			return err
		}
		if len(r.found) > 0 {
			r.next = r.found[len(r.found)-1].offset + 1
			return nil
		}
		if now, _ := r.topic.look(); now.first <= r.next {
			return fmt.Errorf("the log has no records from offset %d on, where there must be some up to %d", r.next, now.next)
		}
	}
}

func (r *reader) query(ctx context.Context) error {
	if r.stmt == nil {
		stmt, err := r.db.PrepareContext(ctx, `SELECT "offset", time, key, id, headers, value FROM `+r.topic.records()+ //nolint:gosec // the table's name is ours
			` WHERE "offset" >= ? ORDER BY "offset" LIMIT ?`)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.topic.name, err)
		}
		r.stmt = stmt
	}
	rows, err := r.stmt.QueryContext(ctx, r.next, chunkRecords)
	if err != nil {
		return fmt.Errorf("read %s from offset %d on: %w", r.topic.name, r.next, err)
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	for size := 0; size < chunkBytes && rows.Next(); {
		var f found
		if err := rows.Scan(&f.offset, &f.milliseconds, &f.record.key, &f.record.id, &f.record.headers, &f.record.value); err != nil {
			return fmt.Errorf("read %s: %w", r.topic.name, err)
		}
		size += f.record.whole()
		r.found = append(r.found, f)
	}
	if err := rows.Err(); err != nil {
		r.found = r.found[:0]
		return fmt.Errorf("read %s from offset %d on: %w", r.topic.name, r.next, err)
	}
	return nil
}
