package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
)

// Query reads a chunk of events at a time and hands them over. The first chunk fixes the number of the last event, which
// makes all of it of one moment; all but a slow reader have it in one transaction besides.
func (s *Store) Query(ctx context.Context, q application.Query, yield func(event []byte) error) (next string, err error) {
	walk, err := store.NewWalk(q)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	scan := &scan{Walk: walk, store: s, snapshot: snapshot{readers: s.readers, hold: s.hold}}
	defer scan.snapshot.end()
	return scan.Go(ctx, func() error {
		if err := scan.fill(ctx); err != nil {
			return fmt.Errorf("read the store: %w", failure(ctx, err))
		}
		return nil
	}, yield)
}

// scan is a query under way.
type scan struct {
	store.Walk

	store    *Store
	snapshot snapshot
	zones    *store.ZoneTree
	shape    shape
	args     []driver.Value
	// zoned says that the time range is looked up in the zones.
	zoned bool
	begun bool
	// run is what is known to be of the time, from At on.
	run     store.Run
	running bool
}

// fill reads the next chunk.
func (c *scan) fill(ctx context.Context) error {
	return c.snapshot.use(ctx, func(conn *connection) error {
		if !c.begun {
			if err := c.begin(conn); err != nil {
				return err
			}
		}
		for !c.Over() && c.HasRoom() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.read(conn); err != nil {
				return err
			}
		}
		return nil
	})
}
