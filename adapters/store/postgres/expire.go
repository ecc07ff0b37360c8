package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

// expireRows is how many events are removed in one transaction.
const expireRows = 2000

// Expire removes the oldest events, two thousand in a transaction. Instances take turns by the lock of the table kept.
func (s *Store) Expire(ctx context.Context, before time.Time) (removed int, err error) {
	for {
		n, err := s.expire(ctx, before.UnixMicro())
		if err != nil {
			return removed, fmt.Errorf("remove events: %w", failure(ctx, err))
		}
		removed += n
		if n < expireRows {
			return removed, nil
		}
	}
}

func (s *Store) expire(ctx context.Context, before int64) (removed int, err error) {
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	if err := s.schema.await(bounded); err != nil {
		return 0, err
	}
	err = s.writer.transact(ctx, bounded, func(conn *pgx.Conn) (err error) {
		removed, err = expire(bounded, conn, before)
		return err
	})
	return removed, err
}

const (
	// selectExpired gives the number of the first event that stays, of those that are looked at, or that behind the last.
	selectExpired = `SELECT coalesce(min(seq) FILTER (WHERE accepted >= $1), max(seq) + 1, 0), coalesce(min(seq), 0)
		FROM (SELECT seq, accepted FROM events WHERE seq >= (SELECT first FROM kept) ORDER BY seq LIMIT $2) AS oldest`
	deletePairs = `DELETE FROM pairs p USING events e WHERE e.seq >= $1 AND e.seq < $2
		AND p.user_id = e.user_id AND p.type = e.type AND p.seq = e.seq`
	deleteRows  = `DELETE FROM events WHERE seq >= $1 AND seq < $2`
	deleteZones = `DELETE FROM zones WHERE level = $1 AND number < $2`
	updateFirst = `UPDATE kept SET first = $1`
)

// expire removes events that were accepted before the moment, in microseconds since 1970.
func expire(ctx context.Context, conn *pgx.Conn, before int64) (removed int, err error) {
	var first, oldest, stays int64
	var p pipeline
	p.exec(`BEGIN`)
	p.row(&first, lockKept)
	p.rows([]any{&stays, &oldest}, func() error { return nil }, selectExpired, before, expireRows)
	if err := p.run(ctx, conn); err != nil {
		return 0, err
	}
	p = pipeline{}
	if stays > oldest {
		p.exec(deletePairs, oldest, stays)
		p.add(func(r pgx.BatchResults) error {
			tag, err := r.Exec()
			removed = int(tag.RowsAffected())
			return err
		}, deleteRows, oldest, stays)
		for level := range store.ZoneLevels {
			number, _ := store.ZoneNode(level, stays)
			p.exec(deleteZones, level, number)
		}
		p.exec(updateFirst, stays)
	}
	p.exec(`COMMIT`)
	return removed, p.run(ctx, conn)
}
