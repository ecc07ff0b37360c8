package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

// begin fixes the events that the query goes over, and how.
func (c *scan) begin(ctx context.Context, tx *sql.Tx) error {
	var first, last int64
	if err := c.stmt(ctx, tx, shape{other: selectBounds}).QueryRowContext(ctx).Scan(&first, &last); err != nil {
		return err
	}
	if c.query.Descending {
		c.at, c.end = min(c.at, last), first
	} else {
		c.at, c.end = max(c.at, first), last
	}
	from, err := c.source(ctx, tx)
	if err != nil {
		return err
	}
	timed := !c.query.From.IsZero() || !c.query.To.IsZero()
	c.shape = shape{source: from, descending: c.query.Descending, timed: timed}
	c.args = make([]any, parameters)
	c.args[3], c.args[4] = c.query.UserID, c.query.EventType
	c.times()
	return nil
}

func (c *scan) stmt(ctx context.Context, tx *sql.Tx, s shape) *sql.Stmt {
	return tx.StmtContext(ctx, c.store.queries[s])
}

func (c *scan) source(ctx context.Context, tx *sql.Tx) (source, error) {
	switch {
	case c.query.UserID == "" && c.query.EventType == "":
		return fromAll, nil
	case c.query.EventType == "":
		return fromUser, nil
	case c.query.UserID == "":
		return fromType, nil
	}
	var paired int
	err := c.stmt(ctx, tx, shape{other: selectIsPair}).QueryRowContext(ctx, c.query.UserID).Scan(&paired)
	if paired > 0 {
		return fromPairs, err
	}
	return fromUserAndType, err
}

// times sets the parameters of the time range, and the seconds that zones are searched for.
func (c *scan) times() {
	c.zones = &store.ZoneTree{First: math.MinInt64, Last: math.MaxInt64}
	c.args[5], c.args[6], c.args[7], c.args[8] = int64(math.MinInt64), 0, int64(math.MaxInt64), 0
	if from := c.query.From; !from.IsZero() {
		c.zones.First = from.Unix()
		c.args[5], c.args[6] = from.Unix(), from.Nanosecond()
	}
	if to := c.query.To; !to.IsZero() {
		c.zones.Last = to.Unix()
		if to.Nanosecond() == 0 {
			c.zones.Last--
		}
		c.args[7], c.args[8] = to.Unix(), to.Nanosecond()
	}
}

// read takes more events into the chunk, or goes past some that are not wanted.
func (c *scan) read(ctx context.Context, tx *sql.Tx) error {
	if err := c.nextRun(ctx, tx); err != nil || c.over() {
		return err
	}
	wanted := c.room()
	found, err := c.take(ctx, tx, wanted)
	if err != nil {
		return err
	}
	if found == wanted || len(c.chunk) >= chunkBytes {
		c.at = c.events[len(c.events)-1].seq + c.step()
		c.running = c.inRun()
		return nil
	}
	c.at, c.running = c.run.To+1, false
	if c.query.Descending {
		c.at = c.run.From - 1
	}
	if c.shape.timed && c.shape.source != fromAll && !c.over() {
		return c.skip(ctx, tx)
	}
	return nil
}

func (c *scan) inRun() bool { return c.run.From <= c.at && c.at <= c.run.To }

// bounds returns the numbers from at to the other one, the lower one first.
func (c *scan) bounds(other int64) (low, high int64) { return min(c.at, other), max(c.at, other) }

// nextRun finds what may be of the time, from at on: everything, without a time range.
func (c *scan) nextRun(ctx context.Context, tx *sql.Tx) (err error) {
	if c.running {
		return nil
	}
	c.running = true
	if !c.shape.timed {
		c.run.From, c.run.To = c.bounds(c.end)
		return nil
	}
	c.zones.Load = func(level int, node int64) ([]store.Zone, error) {
		return loadZones(ctx, tx, c.store.queries[shape{other: selectZones}], level, node)
	}
	next := c.zones.Up
	if c.query.Descending {
		next = c.zones.Down
	}
	run, found, err := next(c.at, c.end)
	switch {
	case err != nil:
		return err
	case !found:
		c.at = c.end + c.step()
	default:
		c.run = run
		c.at = run.From
		if c.query.Descending {
			c.at = run.To
		}
	}
	return nil
}

// take reads events of the run into the chunk.
func (c *scan) take(ctx context.Context, tx *sql.Tx, limit int) (found int, err error) {
	far := c.run.To
	if c.query.Descending {
		far = c.run.From
	}
	low, high := c.bounds(far)
	c.args[0], c.args[1], c.args[2] = low, high, limit
	rows, err := c.stmt(ctx, tx, c.shape).QueryContext(ctx, c.args...)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var event sql.RawBytes
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq, &event); err != nil {
			return 0, err
		}
		c.chunk = append(c.chunk, event...)
		c.events = append(c.events, place{seq, len(c.chunk)})
		if found++; len(c.chunk) >= chunkBytes {
			break
		}
	}
	return found, errors.Join(rows.Err(), rows.Close())
}

// skip goes to the next event of the user or the type, whatever its time: there may be none for many runs.
func (c *scan) skip(ctx context.Context, tx *sql.Tx) error {
	c.args[0], c.args[1] = c.bounds(c.end)
	c.args[2] = 1
	err := c.stmt(ctx, tx, shape{source: c.shape.source, descending: c.shape.descending, seek: true}).
		QueryRowContext(ctx, c.args...).Scan(&c.at)
	if errors.Is(err, sql.ErrNoRows) {
		c.at = c.end + c.step()
		return nil
	}
	return err
}
