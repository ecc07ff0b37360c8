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
	if c.query.UserID != "" {
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
	// A user who is not in the table pairs has so few events that it is quicker to look at all of them.
	c.zoned, c.runs = timed && (c.query.UserID == "" || paired), 1
	c.nodes.backward = c.query.Descending
	c.args = pgx.NamedArgs{"type": c.query.EventType, "types": []string{c.query.EventType}, "users": []string{c.query.UserID}}
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
	runs, err := c.nextRuns(ctx, conn)
	if err != nil || len(runs) == 0 {
		c.at = c.end + c.step()
		return err
	}
	wanted := c.room()
	found, err := c.take(ctx, conn, runs, wanted)
	if err != nil {
		return err
	}
	if found == wanted || len(c.chunk) >= chunkBytes {
		c.at = c.events[len(c.events)-1].seq + c.step()
		return nil
	}
	c.at = c.behind(runs[len(runs)-1])
	c.runs = min(c.runs*runsGrowth, maxRuns)
	return nil
}

// behind returns the number that follows the run.
func (c *scan) behind(run store.Run) int64 {
	if c.query.Descending {
		return run.From - 1
	}
	return run.To + 1
}

// How many runs one statement looks through: one at first, which is often enough, and more when they hold little.
const (
	runsGrowth = 8
	maxRuns    = 512
)

// nextRuns finds what may be of the time, from at on: everything, without a time range.
func (c *scan) nextRuns(ctx context.Context, conn *pgx.Conn) (runs []store.Run, err error) {
	if !c.zoned {
		return []store.Run{{From: min(c.at, c.end), To: max(c.at, c.end)}}, nil
	}
	c.zones.Load = func(level int, node int64) ([]store.Zone, error) { return c.nodes.load(ctx, conn, level, node) }
	next := c.zones.Up
	if c.query.Descending {
		next = c.zones.Down
	}
	for at := c.at; len(runs) < c.runs; at = c.behind(runs[len(runs)-1]) {
		run, found, err := next(at, c.end)
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
	c.args["limit"], c.args["bytes"] = limit, chunkBytes-len(c.chunk)
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
