package postgres

import (
	"context"
	"fmt"

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
	if c.Query.UserID != "" {
		p.row(&paired, selectIsPaired, c.Query.UserID)
	}
	if err := p.run(ctx, conn); err != nil {
		return err
	}
	c.Between(first, last)
	timed := c.Timed()
	c.shape = shape{source: c.source(paired), descending: c.Query.Descending, timed: timed}
	// A user who is not in the table pairs has so few events that it is quicker to look at all of them.
	c.zoned, c.runs = timed && (c.Query.UserID == "" || paired), 1
	c.nodes.backward = c.Query.Descending
	from, to := c.Times()
	c.args = pgx.NamedArgs{
		"type": c.Query.EventType, "types": []string{c.Query.EventType}, "users": []string{c.Query.UserID},
		"from_sec": from.Sec, "from_nano": from.Nano, "to_sec": to.Sec, "to_nano": to.Nano,
	}
	c.zones = c.Zones()
	c.begun = true
	return nil
}

func (c *scan) source(paired bool) source {
	switch {
	case c.Query.UserID == "" && c.Query.EventType == "":
		return fromAll
	case c.Query.EventType == "":
		return fromUser
	case c.Query.UserID == "":
		return fromType
	case paired:
		return fromPairs
	}
	return fromUserAndType
}

// read takes more events into the chunk, or goes past some that are not wanted.
func (c *scan) read(ctx context.Context, conn *pgx.Conn) error {
	runs, err := c.nextRuns(ctx, conn)
	if err != nil || len(runs) == 0 {
		c.Finish()
		return err
	}
	wanted, _ := c.Room()
	found, err := c.take(ctx, conn, runs, wanted)
	if err != nil {
		return err
	}
	if found < wanted && c.HasRoom() {
		c.At = c.Behind(runs[len(runs)-1])
		c.runs = min(c.runs*runsGrowth, maxRuns)
	}
	return nil
}

// How many runs one statement looks through: one at first, which is often enough, and more when they hold little.
const (
	runsGrowth = 8
	maxRuns    = 512
)

// nextRuns finds what may be of the time, from at on: everything, without a time range.
func (c *scan) nextRuns(ctx context.Context, conn *pgx.Conn) (runs []store.Run, err error) {
	if !c.zoned {
		low, high := c.Bounds(c.End)
		return []store.Run{{From: low, To: high}}, nil
	}
	c.zones.Load = func(level int, node int64) ([]store.Zone, error) { return c.nodes.load(ctx, conn, level, node) }
	next := c.zones.Up
	if c.Query.Descending {
		next = c.zones.Down
	}
	for at := c.At; len(runs) < c.runs; at = c.Behind(runs[len(runs)-1]) {
		run, found, err := next(at, c.End)
		if err != nil || !found {
			return runs, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// take reads events of the runs into the chunk.
func (c *scan) take(ctx context.Context, conn *pgx.Conn, runs []store.Run, limit int) (found int, err error) {
	lows, highs := make([]int64, len(runs)), make([]int64, len(runs))
	for i, run := range runs {
		lows[i], highs[i] = run.From, run.To
	}
	c.args["lows"], c.args["highs"] = lows, highs
	c.args["limit"] = limit
	_, c.args["bytes"] = c.Room()
	rows, _ := conn.Query(ctx, c.store.texts[c.shape], c.args)
	var seq int64
	var event pgtype.DriverBytes
	_, err = pgx.ForEachRow(rows, []any{&seq, &event}, func() error {
		if !c.Add(seq, event) {
			return fmt.Errorf("%w: events out of order", errAnswer)
		}
		found++
		return nil
	})
	return found, err
}
