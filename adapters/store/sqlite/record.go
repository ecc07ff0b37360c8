package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// checkEvery is after how many events Record looks whether its context is done.
const checkEvery = 64

// Record keeps the batch in one transaction.
func (s *Store) Record(ctx context.Context, b application.Batch) (added int, err error) {
	if len(b.Entries) == 0 && len(b.Taken) == 0 {
		return 0, ctx.Err()
	}
	w := s.writer
	err = w.transact(ctx, func() error {
		if added, err = w.insert(ctx, b.Entries); err != nil {
			return err
		}
		return w.take(b.Topic, b.Taken)
	})
	if err != nil {
		return 0, fmt.Errorf("write to the store: %w", err)
	}
	return added, nil
}

const (
	selectNext  = `SELECT max((SELECT coalesce(max(seq), 0) FROM events), first - 1) + 1 FROM kept`
	insertEvent = `INSERT INTO events (seq, sec, nano, accepted, user_id, type, id, json)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING`
	upsertPosition = `INSERT INTO positions (topic, partition, next) VALUES (?1, ?2, ?3)
		ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next`
)

// insert numbers the events that are new, and puts them into the table and the indexes.
func (w *writer) insert(ctx context.Context, entries []application.Entry) (added int, err error) {
	next, _, err := w.integers(selectNext)
	if err != nil {
		return 0, err
	}
	zones := zoneWriter{w: w}
	row := newEventRow()
	for i, e := range entries {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		seq := next[0] + int64(added)
		isNew, err := row.insert(w, seq, e)
		if err != nil {
			return 0, err
		}
		if !isNew {
			continue
		}
		added++
		if err := zones.add(seq, e.Event.Timestamp().Unix()); err != nil {
			return 0, err
		}
		if err := w.pair(seq, e.Event); err != nil {
			return 0, err
		}
	}
	return added, zones.flush()
}

// eventRow holds the arguments of an insertion, which are filled in anew for each event.
type eventRow struct{ args []driver.NamedValue }

func newEventRow() eventRow { return eventRow{named(make([]driver.Value, 8))} }

func (r eventRow) insert(w *writer, seq int64, e application.Entry) (isNew bool, err error) {
	id, at := e.Event.ID(), e.Event.Timestamp()
	for i, v := range [...]driver.Value{
		seq, at.Unix(), int64(at.Nanosecond()), e.Accepted.UnixMicro(),
		e.Event.UserID(), e.Event.EventType(), id[:], e.Event.JSON(),
	} {
		r.args[i].Value = v
	}
	s, err := w.statement(insertEvent)
	if err != nil {
		return false, err
	}
	result, err := s.ExecContext(context.Background(), r.args)
	if err != nil {
		return false, err
	}
	changed, err := result.RowsAffected()
	return changed > 0, err
}

func (w *writer) take(topic string, taken map[int32]int64) error {
	for partition, next := range taken {
		if _, err := w.exec(upsertPosition, topic, int64(partition), next); err != nil {
			return err
		}
	}
	return nil
}

// Positions returns what was last recorded of the topic.
func (s *Store) Positions(ctx context.Context, topic string) (taken map[int32]int64, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT partition, next FROM positions WHERE topic = ?1`, topic)
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", failure(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	taken = make(map[int32]int64)
	for rows.Next() {
		var partition int32
		var next int64
		if err := rows.Scan(&partition, &next); err != nil {
			return nil, fmt.Errorf("read positions: %w: %w", domain.ErrUnavailable, err)
		}
		taken[partition] = next
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read positions: %w", failure(ctx, err))
	}
	return taken, nil
}
