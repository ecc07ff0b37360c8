package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

// expireRows is how many events are removed in one transaction.
const expireRows = 1000

// Expire removes the oldest events, a thousand in a transaction.
func (s *Store) Expire(ctx context.Context, before time.Time) (removed int, err error) {
	for {
		n := 0
		err := s.writer.transact(ctx, func() (err error) {
			n, err = s.writer.expire(before.UnixMicro())
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("remove events: %w", err)
		}
		removed += n
		if n < expireRows {
			return removed, nil
		}
	}
}

const (
	// selectExpired gives the number of the first event that stays, of those that are looked at, or that behind the last.
	selectExpired = `SELECT coalesce(min(seq) FILTER (WHERE accepted >= ?1), max(seq) + 1, 0)
		FROM (SELECT seq, accepted FROM events WHERE seq >= (SELECT first FROM kept) ORDER BY seq LIMIT ?2)`
	deletePairs = `DELETE FROM pairs WHERE (user_id, type, seq) IN (SELECT user_id, type, seq FROM events WHERE seq < ?1)`
	deleteRows  = `DELETE FROM events WHERE seq < ?1`
	deleteZones = `DELETE FROM zones WHERE level = ?1 AND number < ?2`
	updateFirst = `UPDATE kept SET first = ?1`
)

// expire removes events that were accepted before the moment, in microseconds since 1970.
func (w *writer) expire(before int64) (removed int, err error) {
	first, _, err := w.integers(selectExpired, before, int64(expireRows))
	if err != nil || first[0] == 0 {
		return 0, err
	}
	if len(w.paired) > 0 {
		if _, err := w.exec(deletePairs, first[0]); err != nil {
			return 0, err
		}
	}
	n, err := w.exec(deleteRows, first[0])
	if err != nil || n == 0 {
		return 0, err
	}
	for level := range store.ZoneLevels {
		number, _ := store.ZoneNode(level, first[0])
		if _, err := w.exec(deleteZones, int64(level), number); err != nil {
			return 0, err
		}
	}
	_, err = w.exec(updateFirst, first[0])
	return int(n), err
}
