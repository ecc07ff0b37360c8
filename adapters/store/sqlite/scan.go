package sqlite

import (
	"database/sql/driver"
	"fmt"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

// begin fixes the events that the query goes over, and how.
func (c *scan) begin(conn *connection) error {
	bounds, err := conn.integers(selectBounds)
	if err != nil {
		return err
	}
	c.Between(bounds[0], bounds[1])
	from, many, err := c.source(conn)
	if err != nil {
		return err
	}
	timed := c.Timed()
	// A user with few events is read through: that is quicker than to look up zones.
	c.zoned = timed && (from != fromUser || many) && from != fromUserAndType
	c.shape = shape{source: from, descending: c.Query.Descending, timed: timed}
	c.args = make([]driver.Value, parameters)
	c.args[3], c.args[4] = c.Query.UserID, c.Query.EventType
	begin, end := c.Times()
	c.args[5], c.args[6], c.args[7], c.args[8] = begin.Sec, begin.Nano, end.Sec, end.Nano
	c.zones = c.Zones()
	c.begun = true
	return nil
}

// source returns where the events are found, and whether the user has many.
func (c *scan) source(conn *connection) (from source, many bool, err error) {
	if c.Query.UserID == "" && c.Query.EventType == "" {
		return fromAll, false, nil
	}
	if c.Query.UserID == "" {
		return fromType, false, nil
	}
	paired, err := conn.integers(selectIsPaired, c.Query.UserID)
	if err != nil {
		return 0, false, err
	}
	many = paired[0] > 0
	switch {
	case c.Query.EventType == "":
		return fromUser, many, nil
	case many:
		return fromPairs, many, nil
	}
	return fromUserAndType, many, nil
}

// read takes more events into the chunk, or goes past some that are not wanted.
func (c *scan) read(conn *connection) error {
	if err := c.nextRun(conn); err != nil || c.Over() {
		return err
	}
	wanted, _ := c.Room()
	found, err := c.take(conn, wanted)
	if err != nil {
		return err
	}
	if found == wanted || !c.HasRoom() {
		c.running = c.run.From <= c.At && c.At <= c.run.To
		return nil
	}
	c.At, c.running = c.Behind(c.run), false
	if c.zoned && c.shape.source != fromAll && !c.Over() {
		return c.skip(conn)
	}
	return nil
}

// nextRun finds what may be of the time, from at on: everything, without a time range.
func (c *scan) nextRun(conn *connection) (err error) {
	if c.running {
		return nil
	}
	c.running = true
	if !c.zoned {
		c.run.From, c.run.To = c.Bounds(c.End)
		return nil
	}
	c.zones.Load = func(level int, node int64) ([]store.Zone, error) { return loadZones(conn, level, node) }
	next := c.zones.Up
	if c.Query.Descending {
		next = c.zones.Down
	}
	run, found, err := next(c.At, c.End)
	switch {
	case err != nil:
		return err
	case !found:
		c.Finish()
	default:
		c.run = run
		c.At = run.From
		if c.Query.Descending {
			c.At = run.To
		}
	}
	return nil
}

// take reads events of the run into the chunk.
func (c *scan) take(conn *connection, limit int) (found int, err error) {
	far := c.run.To
	if c.Query.Descending {
		far = c.run.From
	}
	low, high := c.Bounds(far)
	c.args[0], c.args[1], c.args[2] = low, high, int64(limit)
	err = conn.query(c.store.texts[c.shape], func(row []driver.Value) (bool, error) {
		seq, isNumber := row[0].(int64)
		event, isBytes := row[1].([]byte)
		if !isNumber || !isBytes {
			return false, fmt.Errorf("read an event: %w", errDriver)
		}
		if !c.Add(seq, event) {
			return false, fmt.Errorf("read an event out of order: %w", errDriver)
		}
		found++
		return c.HasRoom(), nil
	}, c.args...)
	return found, err
}

// skip goes to the next event of the user or the type, whatever its time: there may be none for many runs.
func (c *scan) skip(conn *connection) error {
	low, high := c.Bounds(c.End)
	c.args[0], c.args[1], c.args[2] = low, high, int64(1)
	next := shape{source: c.shape.source, descending: c.shape.descending, seek: true}
	row, err := conn.integers(c.store.texts[next], c.args...)
	if err != nil {
		return err
	}
	if row == nil {
		c.Finish()
		return nil
	}
	c.At = row[0]
	return nil
}
