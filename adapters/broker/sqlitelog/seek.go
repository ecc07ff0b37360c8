package sqlitelog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// Bounds implements [broker.Bounder].
func (b *Broker) Bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error) {
	t, err := b.topics.ensure(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("bounds of %s: %w", topic, err)
	}
	e, _ := t.look()
	return map[int32]application.Bounds{0: {First: e.first, Next: e.next}}, nil
}

// OffsetsAt implements [broker.Seeker]. It is exact, also where the clock was set back and records have earlier times than
// those before them.
func (b *Broker) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	t, err := b.topics.ensure(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("offsets of %s: %w", topic, err)
	}
	offset, err := b.offsetAt(ctx, t, at)
	if err != nil {
		return nil, unavailable(fmt.Errorf("offsets of %s: %w", topic, err))
	}
	return map[int32]int64{0: offset}, nil
}

// Places implements [broker.Placer].
func (b *Broker) Places(ctx context.Context, topic, group string) (map[int32]int64, error) {
	t, err := b.topics.ensure(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("places of %s: %w", group, err)
	}
	next, found, err := readPlace(ctx, b.file.reads, place{topic: t.id, group: group})
	if err != nil {
		return nil, unavailable(err)
	}
	if !found {
		return map[int32]int64{}, nil
	}
	return map[int32]int64{0: next}, nil
}

// offsetAt returns the offset of the first record of the time or later. Records have times in milliseconds.
func (b *Broker) offsetAt(ctx context.Context, t *topic, at time.Time) (int64, error) {
	milliseconds := at.UnixMilli()
	if at.After(time.UnixMilli(milliseconds)) {
		milliseconds++
	}
	return b.search(ctx, t, "coalesce(peak, time)", milliseconds)
}

// search returns the offset of the first record whose column, which never falls, has at least the value, or of the next
// record. A record that has been trimmed meanwhile has less.
func (b *Broker) search(ctx context.Context, t *topic, column string, value int64) (int64, error) {
	stmt, err := b.file.reads.PrepareContext(ctx, "SELECT "+column+" FROM "+t.records()+` WHERE "offset" = ?`) //nolint:gosec // both are ours
	if err != nil {
		return 0, err
	}
	defer func() { _ = stmt.Close() }() // nothing is under way
	e, _ := t.look()
	low, high := e.first, e.next
	for low < high {
		middle := low + (high-low)/2
		var found int64
		err := stmt.QueryRowContext(ctx, middle).Scan(&found)
		switch {
		case errors.Is(err, sql.ErrNoRows) || err == nil && found < value:
			low = middle + 1
		case err == nil:
			high = middle
		default:
			return 0, err
		}
	}
	return low, nil
}
