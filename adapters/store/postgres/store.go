package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Store is an [application.Store] in a PostgreSQL database. It is safe for concurrent use.
type Store struct {
	// schema migrates before the first use.
	schema *preparation
	writer *writer
	// readers is a pool of connections that only read.
	readers *pgxpool.Pool
	// texts are the statements of queries.
	texts map[shape]string
	// hold is how long a query may keep one of the readers before it lets go of it.
	hold time.Duration
	// patience is how long one exchange with the server may take.
	patience time.Duration
}

var (
	_ application.Store   = (*Store)(nil)
	_ application.Expirer = (*Store)(nil)
	_ store.Open          = Open
)

const (
	defaultHold = time.Second
	// defaultPatience is more than the server's lock_timeout, so that a lock that is held is told from a server that is away.
	defaultPatience = 15 * time.Second
)

// Open is a [store.Open]. It does not connect: a server that is away, and a database that cannot be used, are met by the
// calls.
func Open(ctx context.Context, rest string, o store.Options) (application.Store, error) {
	s, err := open(ctx, rest, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, rest string, o store.Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg, err := parse(rest, o)
	if err != nil {
		return nil, err
	}
	// The pools live longer than the call.
	ctx = context.WithoutCancel(ctx)
	s := &Store{texts: texts(), hold: defaultHold, patience: defaultPatience}
	s.schema = newPreparation(func(ctx context.Context) error {
		now, err := current(ctx, cfg)
		if err != nil {
			return err
		}
		return migrate(ctx, now, migrations)
	})
	if s.readers, err = connections(ctx, cfg, cfg.MaxConns, readerSession); err != nil {
		return nil, fmt.Errorf("prepare connections: %w", err)
	}
	writers, err := connections(ctx, cfg, maxWriters, writerSession)
	if err != nil {
		s.readers.Close()
		return nil, fmt.Errorf("prepare connections: %w", err)
	}
	s.writer = newWriter(writers)
	return s, nil
}

const selectEvent = `SELECT json FROM events WHERE id = $1`

// Event returns the JSON of the event.
func (s *Store) Event(ctx context.Context, id domain.UUID) (event []byte, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		found, err := oneOrNone(conn.QueryRow(ctx, selectEvent, [16]byte(id)).Scan(&event))
		if err == nil && !found {
			err = domain.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", id, failure(ctx, err))
	}
	return event, nil
}

// read calls f with a connection, once the schema is there. It ends when its time is over.
func (s *Store) read(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	if err := s.schema.await(bounded); err != nil {
		return err
	}
	conn, err := s.readers.Acquire(bounded)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err = f(bounded, conn.Conn()); err != nil {
		forget(ctx, s.readers, conn.Conn())
	}
	return err
}

// forget drops the other connections when one was lost: they are likely to be, too.
func forget(ctx context.Context, pool *pgxpool.Pool, conn *pgx.Conn) {
	if conn.IsClosed() && ctx.Err() == nil {
		pool.Reset()
	}
}

// Volatile returns false.
func (s *Store) Volatile() bool { return false }

var errReadOnly = fmt.Errorf("%w: the database is a standby, or read only", domain.ErrUnavailable)

// Ping returns nil when the server answers and takes writes, and the last transaction did not fail.
func (s *Store) Ping(ctx context.Context) error {
	err := s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var standby bool
		err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery() FROM kept`).Scan(&standby)
		if err == nil && standby {
			err = errReadOnly
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the store: %w", failure(ctx, err))
	}
	if fault := s.writer.fault.Load(); fault != nil {
		return fmt.Errorf("write to the store: %w", *fault)
	}
	return nil
}

// Close releases the connections.
func (s *Store) Close() error {
	s.schema.stop()
	s.readers.Close()
	s.writer.pool.Close()
	return nil
}

var errAnswer = errors.New("the server answers something else than it should")
