package sqlitelog

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// trimRecords and trimBytes bound what one transaction removes, so that no publication waits for long.
const (
	trimRecords = 1000
	trimBytes   = 4 << 20
)

// Trim implements [broker.Trimmer]. The file does not get smaller: new records use the space.
func (b *Broker) Trim(ctx context.Context, topic string, before time.Time, bytes int64, taken map[int32]int64) (removed int64, err error) {
	limit, named := taken[0]
	t := b.topics.find(topic)
	if !named || t == nil {
		return 0, nil
	}
	end, err := b.trimEnd(ctx, t, before, bytes, limit)
	if err != nil {
		return 0, unavailable(fmt.Errorf("trim %s: %w", topic, err))
	}
	for {
		n, err := b.trimStep(ctx, t, end)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("trim %s: %w", topic, err)
		}
		if n == 0 {
			return removed, nil
		}
	}
}

// trimEnd returns the offset of the first record to keep.
func (b *Broker) trimEnd(ctx context.Context, t *topic, before time.Time, bytes, limit int64) (int64, error) {
	e, _ := t.look()
	end := e.first
	if !before.IsZero() {
		offset, err := b.offsetAt(ctx, t, before)
		if err != nil {
			return 0, err
		}
		end = max(end, offset)
	}
	if bytes > 0 && e.through-e.before > bytes {
		// The first record up to which the log has so much that what follows is no more than bytes is the last to go.
		offset, err := b.search(ctx, t, "bytes", e.through-bytes)
		if err != nil {
			return 0, err
		}
		end = max(end, offset+1)
	}
	return min(end, limit, e.next), nil
}

// trimStep removes the oldest records, up to end, and returns how many.
func (b *Broker) trimStep(ctx context.Context, t *topic, end int64) (int64, error) {
	e, _ := t.look()
	if e.first >= end {
		return 0, nil
	}
	until, err := b.search(ctx, t, "bytes", e.before+trimBytes)
	if err != nil {
		return 0, unavailable(err)
	}
	to := min(until+1, e.first+trimRecords, end)
	var n int64
	err = b.writer.do(ctx, func(ctx context.Context, c *sql.Conn) (func(), error) {
		now, _ := t.look()
		if now.first != e.first { // another one trims
			return func() {}, nil
		}
		if err := c.QueryRowContext(ctx, "SELECT bytes FROM "+t.records()+` WHERE "offset" = ?`, to-1).Scan(&now.before); err != nil {
			return nil, err
		}
		if _, err := c.ExecContext(ctx, "DELETE FROM "+t.records()+` WHERE "offset" < ?`, to); err != nil { //nolint:gosec // the table's name is ours
			return nil, err
		}
		if _, err := c.ExecContext(ctx, "UPDATE topics SET first = ?, bytes = ? WHERE id = ?", to, now.before, t.id); err != nil {
			return nil, err
		}
		now.first = to
		return func() {
			n = to - e.first
			t.set(now)
		}, nil
	})
	return n, err
}
