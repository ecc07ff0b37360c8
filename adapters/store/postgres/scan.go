package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

const (
	selectBounds   = `SELECT first, next - 1 FROM kept, head`
	selectIsPaired = `SELECT EXISTS (SELECT FROM users WHERE user_id = $1 AND paired)`
)

// begin fixes the events that the query goes over, and how.
func (c *scan) begin(ctx context.Context, conn *pgx.Conn) error {
	var first, last int64
	var paired bool
	var p pipeline
	p.rows([]any{&first, &last}, func() error { return nil }, selectBounds)
	if c.query.UserID != "" && c.query.EventType != "" {
		p.row(&paired, selectIsPaired, c.query.UserID)
	}
	if err := p.run(ctx, conn); err != nil {
		return err
	}
	if c.query.Descending {
		c.at, c.end = min(c.at, last), first
	} else {
		c.at, c.end = max(c.at, first), last
	}
	timed := !c.query.From.IsZero() || !c.query.To.IsZero()
	c.shape = shape{source: c.source(paired), descending: c.query.Descending, timed: timed}
	c.args = pgx.NamedArgs{"user": c.query.UserID, "type": c.query.EventType}
	c.times()
	c.begun = true
	return nil
}

func (c *scan) source(paired bool) source {
	switch {
	case c.query.UserID == "" && c.query.EventType == "":
		return fromAll
	case c.query.EventType == "":
		return fromUser
	case c.query.UserID == "":
		return fromType
	case paired:
		return fromPairs
	}
	return fromUserAndType
}

// times sets the parameters of the time range, and the seconds that zones are searched for.
func (c *scan) times() {
	c.zones = &store.ZoneTree{First: math.MinInt64, Last: math.MaxInt64}
	c.args["from_sec"], c.args["from_nano"] = int64(math.MinInt64), 0
	c.args["to_sec"], c.args["to_nano"] = int64(math.MaxInt64), 0
	if from := c.query.From; !from.IsZero() {
		c.zones.First = from.Unix()
		c.args["from_sec"], c.args["from_nano"] = from.Unix(), from.Nanosecond()
	}
	if to := c.query.To; !to.IsZero() {
		c.zones.Last = to.Unix()
		if to.Nanosecond() == 0 {
			c.zones.Last--
		}
		c.args["to_sec"], c.args["to_nano"] = to.Unix(), to.Nanosecond()
	}
}

// read takes more events into the chunk, or goes past some that are not wanted.
func (c *scan) read(ctx context.Context, conn *pgx.Conn) error {
	if err := c.nextRun(ctx, conn); err != nil || c.over() {
		return err
	}
	wanted := c.room()
	found, err := c.take(ctx, conn, wanted)
	if err != nil {
		return err
	}
	if found == wanted || len(c.chunk) >= chunkBytes {
		c.at = c.events[len(c.events)-1].seq + c.step()
		c.running = c.run.From <= c.at && c.at <= c.run.To
		return nil
	}
	c.at, c.running = c.run.To+1, false
	if c.query.Descending {
		c.at = c.run.From - 1
	}
	if c.shape.timed && c.shape.source != fromAll && !c.over() {
		return c.skip(ctx, conn)
	}
	return nil
}

// bounds returns the numbers from at to the other one, the lower one first.
func (c *scan) bounds(other int64) (low, high int64) { return min(c.at, other), max(c.at, other) }

// nextRun finds what may be of the time, from at on: everything, without a time range.
func (c *scan) nextRun(ctx context.Context, conn *pgx.Conn) (err error) {
	if c.running {
		return nil
	}
	c.running = true
	if !c.shape.timed {
		c.run.From, c.run.To = c.bounds(c.end)
		return nil
	}
	c.zones.Load = func(level int, node int64) ([]store.Zone, error) { return loadZones(ctx, conn, level, node) }
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
func (c *scan) take(ctx context.Context, conn *pgx.Conn, limit int) (found int, err error) {
	far := c.run.To
	if c.query.Descending {
		far = c.run.From
	}
	low, high := c.bounds(far)
	c.args["low"], c.args["high"], c.args["limit"], c.args["bytes"] = low, high, limit, chunkBytes
	rows, _ := conn.Query(ctx, c.store.texts[c.shape], c.args)
	var seq int64
	var event pgtype.DriverBytes
	_, err = pgx.ForEachRow(rows, []any{&seq, &event}, func() error {
		if n := len(c.events); n > 0 && (seq > c.events[n-1].seq) == c.query.Descending {
			return fmt.Errorf("%w: events out of order", errAnswer)
		}
		c.chunk = append(c.chunk, event...)
		c.events = append(c.events, place{seq, len(c.chunk)})
		found++
		return nil
	})
	return found, err
}

// skip goes to the next event of the user or the type, whatever its time: there may be none for many runs.
func (c *scan) skip(ctx context.Context, conn *pgx.Conn) error {
	low, high := c.bounds(c.end)
	c.args["low"], c.args["high"] = low, high
	next := shape{source: c.shape.source, descending: c.shape.descending, seek: true}
	found, err := oneOrNone(conn.QueryRow(ctx, c.store.texts[next], c.args).Scan(&c.at))
	if err == nil && !found {
		c.at = c.end + c.step()
	}
	return err
}
