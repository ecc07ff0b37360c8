package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

// begin fixes the events that the query goes over, and how.
func (c *scan) begin(conn *connection) error {
	bounds, err := conn.integers(selectBounds)
	if err != nil {
		return err
	}
	first, last := bounds[0], bounds[1]
	if c.query.Descending {
		c.at, c.end = min(c.at, last), first
	} else {
		c.at, c.end = max(c.at, first), last
	}
	from, many, err := c.source(conn)
	if err != nil {
		return err
	}
	timed := !c.query.From.IsZero() || !c.query.To.IsZero()
	// A user with few events is read through: that is quicker than to look up zones.
	c.zoned = timed && (from != fromUser || many) && from != fromUserAndType
	c.shape = shape{source: from, descending: c.query.Descending, timed: timed}
	c.args = make([]driver.Value, parameters)
	c.args[3], c.args[4] = c.query.UserID, c.query.EventType
	c.times()
	c.begun = true
	return nil
}

// source returns where the events are found, and whether the user has many.
func (c *scan) source(conn *connection) (from source, many bool, err error) {
	if c.query.UserID == "" && c.query.EventType == "" {
		return fromAll, false, nil
	}
	if c.query.UserID == "" {
		return fromType, false, nil
	}
	paired, err := conn.integers(selectIsPaired, c.query.UserID)
	if err != nil {
		return 0, false, err
	}
	many = paired[0] > 0
	switch {
	case c.query.EventType == "":
		return fromUser, many, nil
	case many:
		return fromPairs, many, nil
	}
	return fromUserAndType, many, nil
}

// times sets the parameters of the time range, and the seconds that zones are searched for.
func (c *scan) times() {
	c.zones = &store.ZoneTree{First: math.MinInt64, Last: math.MaxInt64}
	c.args[5], c.args[6], c.args[7], c.args[8] = int64(math.MinInt64), int64(0), int64(math.MaxInt64), int64(0)
	if from := c.query.From; !from.IsZero() {
		c.zones.First = from.Unix()
		c.args[5], c.args[6] = from.Unix(), int64(from.Nanosecond())
	}
	if to := c.query.To; !to.IsZero() {
		c.zones.Last = to.Unix()
		if to.Nanosecond() == 0 {
			c.zones.Last--
		}
		c.args[7], c.args[8] = to.Unix(), int64(to.Nanosecond())
	}
}

// read takes more events into the chunk, or goes past some that are not wanted.
func (c *scan) read(conn *connection) error {
	if err := c.nextRun(conn); err != nil || c.over() {
		return err
	}
	wanted := c.room()
	found, err := c.take(conn, wanted)
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
	if c.zoned && c.shape.source != fromAll && !c.over() {
		return c.skip(conn)
	}
	return nil
}

// bounds returns the numbers from at to the other one, the lower one first.
func (c *scan) bounds(other int64) (low, high int64) { return min(c.at, other), max(c.at, other) }

// nextRun finds what may be of the time, from at on: everything, without a time range.
func (c *scan) nextRun(conn *connection) (err error) {
	if c.running {
		return nil
	}
	c.running = true
	if !c.zoned {
		c.run.From, c.run.To = c.bounds(c.end)
		return nil
	}
	c.zones.Load = func(level int, node int64) ([]store.Zone, error) { return loadZones(conn, level, node) }
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
func (c *scan) take(conn *connection, limit int) (found int, err error) {
	far := c.run.To
	if c.query.Descending {
		far = c.run.From
	}
	low, high := c.bounds(far)
	c.args[0], c.args[1], c.args[2] = low, high, int64(limit)
	err = conn.query(c.store.texts[c.shape], func(row []driver.Value) (bool, error) {
		seq, isNumber := row[0].(int64)
		event, isBytes := row[1].([]byte)
		if !isNumber || !isBytes {
			return false, fmt.Errorf("read an event: %w", errDriver)
		}
		c.chunk = append(c.chunk, event...)
		c.events = append(c.events, place{seq, len(c.chunk)})
		found++
		return len(c.chunk) < chunkBytes, nil
	}, c.args...)
	return found, err
}

// skip goes to the next event of the user or the type, whatever its time: there may be none for many runs.
func (c *scan) skip(conn *connection) error {
	low, high := c.bounds(c.end)
	c.args[0], c.args[1], c.args[2] = low, high, int64(1)
	next := shape{source: c.shape.source, descending: c.shape.descending, seek: true}
	row, err := conn.integers(c.store.texts[next], c.args...)
	if err != nil {
		return err
	}
	if row == nil {
		c.at = c.end + c.step()
		return nil
	}
	c.at = row[0]
	return nil
}
