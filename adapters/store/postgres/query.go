package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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
	nodes    zoneReader
	// zoned says that the zones tell where to look, runs is in how many runs of events at a time.
	zoned bool
	runs  int
	shape shape
	args  pgx.NamedArgs
	begun bool
}

// fill reads the next chunk.
func (c *scan) fill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.store.patience)
	defer cancel()
	if err := c.store.schema.await(ctx); err != nil {
		return err
	}
	return c.snapshot.use(ctx, func(conn *pgx.Conn) error {
		if !c.begun {
			if err := c.begin(ctx, conn); err != nil {
				return err
			}
		}
		for began := time.Now(); !c.Over() && c.HasRoom() && time.Since(began) < c.store.patience/2; {
			if err := c.read(ctx, conn); err != nil {
				return err
			}
		}
		return nil
	})
}
