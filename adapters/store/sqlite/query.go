package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
)

// What is read at a time before it is handed over.
const (
	chunkEvents = 1024
	chunkBytes  = 1 << 20
)

// Query reads a chunk of events at a time and hands them over. The first chunk fixes the number of the last event, which
// makes all of it of one moment; all but a slow reader have it in one transaction besides.
func (s *Store) Query(ctx context.Context, q application.Query, yield func(event []byte) error) (next string, err error) {
	scan := &scan{store: s, query: q, snapshot: snapshot{readers: s.readers, hold: s.hold}}
	if err := scan.position(); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	defer scan.snapshot.end()
	for {
		more, err := scan.fill(ctx)
		if err != nil {
			return "", fmt.Errorf("read the store: %w", failure(ctx, err))
		}
		if last, err := scan.handOver(ctx, yield); err != nil || last != "" {
			return last, err
		}
		if !more {
			return "", nil
		}
	}
}

// scan is a query under way.
type scan struct {
	store    *Store
	query    application.Query
	snapshot snapshot
	zones    *store.ZoneTree
	shape    shape
	args     []driver.Value
	// zoned says that the time range is looked up in the zones.
	zoned bool

	begun bool
	// at is the number of the next event to look at, end that of the last one.
	at, end int64
	// run is what is known to be of the time, from at on.
	run     store.Run
	running bool

	// chunk is what was read and not yet handed over.
	chunk  []byte
	events []place
	// yielded is how many events were handed over, last the number of the last one.
	yielded int
	last    int64
}

// place is the number of an event, and where its bytes end in the chunk.
type place struct {
	seq int64
	end int
}

// position reads the cursor.
func (c *scan) position() error {
	c.at = 0
	if c.query.Descending {
		c.at = math.MaxInt64
	}
	if c.query.Cursor == "" {
		return nil
	}
	cursor, err := store.ParseCursor(c.query.Cursor, c.query.Descending)
	if err != nil {
		return err
	}
	if cursor.Seq != c.at { // else it is beyond the last number that there can be
		c.at = cursor.Seq + c.step()
	}
	return nil
}

func (c *scan) step() int64 {
	if c.query.Descending {
		return -1
	}
	return 1
}

// over says that no event is left to look at.
func (c *scan) over() bool {
	if c.query.Descending {
		return c.at < c.end
	}
	return c.at > c.end
}

// handOver yields the chunk. At the limit it returns the cursor, when more follow.
func (c *scan) handOver(ctx context.Context, yield func(event []byte) error) (next string, err error) {
	begin := 0
	for _, e := range c.events {
		if c.query.Limit > 0 && c.yielded == c.query.Limit {
			return store.Cursor{Descending: c.query.Descending, Seq: c.last}.String(), nil
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := yield(c.chunk[begin:e.end:e.end]); err != nil {
			return "", err
		}
		begin = e.end
		c.yielded++
		c.last = e.seq
	}
	return "", nil
}

// fill reads the next chunk; more says whether another may follow.
func (c *scan) fill(ctx context.Context) (more bool, err error) {
	c.chunk, c.events = c.chunk[:0], c.events[:0]
	err = c.snapshot.use(ctx, func(conn *connection) error {
		if !c.begun {
			if err := c.begin(conn); err != nil {
				return err
			}
		}
		for !c.over() && c.room() > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.read(conn); err != nil {
				return err
			}
		}
		return nil
	})
	return !c.over(), err
}

// room returns how many more events the chunk may take: with a limit, one more than that, which tells whether more follow.
func (c *scan) room() int {
	if len(c.chunk) >= chunkBytes {
		return 0
	}
	room := chunkEvents - len(c.events)
	if c.query.Limit > 0 {
		room = min(room, c.query.Limit+1-c.yielded-len(c.events))
	}
	return room
}
