package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Store is an [application.Store] in a file. It is safe for concurrent use.
type Store struct {
	path   string
	writer *writer
	// readers is a pool of connections that only read.
	readers *sql.DB
	event   *sql.Stmt
	queries map[shape]*sql.Stmt
	// hold is how long a query may keep one of the readers before it lets go of it.
	hold time.Duration
}

var (
	_ application.Store   = (*Store)(nil)
	_ application.Expirer = (*Store)(nil)
	_ store.Open          = Open
)

const (
	maxReaders  = 8
	defaultHold = time.Second
)

// Open is a [store.Open]. It makes the file, or brings it to this build's schema; one that is not a store, that is newer
// or that cannot be written is an error.
func Open(ctx context.Context, rest string, o store.Options) (application.Store, error) {
	s, err := open(ctx, rest, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, rest string, o store.Options) (*Store, error) {
	path, err := locate(rest, o)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, hold: defaultHold}
	if err = s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) (err error) {
	if err := prepareFile(ctx, s.path); err != nil {
		return err
	}
	if s.writer, err = newWriter(s.path); err != nil {
		return err
	}
	connector, err := sqlite.NewConnector(readerDSN(s.path))
	if err != nil {
		return err
	}
	s.readers = sql.OpenDB(connector)
	s.readers.SetMaxOpenConns(maxReaders)
	s.readers.SetMaxIdleConns(maxReaders)
	if s.event, err = s.readers.PrepareContext(ctx, selectEvent); err != nil {
		return failure(ctx, err)
	}
	s.queries, err = prepareQueries(ctx, s.readers)
	return failure(ctx, err)
}

// prepareFile migrates the file.
func prepareFile(ctx context.Context, path string) error {
	connector, err := sqlite.NewConnector(writerDSN(path))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return errors.Join(migrate(ctx, db, migrations), db.Close())
}

const selectEvent = `SELECT json FROM events WHERE id = ?1`

// Event returns the JSON of the event.
func (s *Store) Event(ctx context.Context, id domain.UUID) ([]byte, error) {
	var event []byte
	err := s.event.QueryRowContext(ctx, id[:]).Scan(&event)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("event %s: %w", id, domain.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("event %s: %w", id, failure(ctx, err))
	}
	return event, nil
}

// Volatile returns false.
func (s *Store) Volatile() bool { return false }

// Ping returns nil when the file can be read, and the last batch could be written.
func (s *Store) Ping(ctx context.Context) error {
	var first int64
	if err := s.readers.QueryRowContext(ctx, `SELECT first FROM kept`).Scan(&first); err != nil {
		return fmt.Errorf("read the store: %w", failure(ctx, err))
	}
	return nil
}

// Close releases the file.
func (s *Store) Close() error {
	var errs []error
	for _, stmt := range s.queries {
		errs = append(errs, stmt.Close())
	}
	if s.event != nil {
		errs = append(errs, s.event.Close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	return errors.Join(errs...)
}
