package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
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
	readers *pool
	// texts are the statements of queries.
	texts map[shape]string
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
	s := &Store{path: path, texts: texts(), hold: defaultHold}
	if err = s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) (err error) {
	if err := prepareFile(ctx, s.path, migrations); err != nil {
		return err
	}
	if s.writer, err = newWriter(s.path); err != nil {
		return err
	}
	s.readers, err = newPool(s.path, maxReaders)
	return err
}

// prepareFile migrates the file.
func prepareFile(ctx context.Context, path string, files fs.FS) error {
	connector, err := sqlite.NewConnector(writerDSN(path))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return errors.Join(migrate(ctx, db, files), db.Close())
}

const selectEvent = `SELECT json FROM events WHERE id = ?1`

// Event returns the JSON of the event.
func (s *Store) Event(ctx context.Context, id domain.UUID) ([]byte, error) {
	var event []byte
	err := s.readers.with(ctx, func(c *connection) (err error) {
		var found bool
		if event, found, err = c.bytes(selectEvent, id[:]); err == nil && !found {
			err = domain.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", id, failure(ctx, err))
	}
	return event, nil
}

// Volatile returns false.
func (s *Store) Volatile() bool { return false }

// Ping returns nil when the file can be read, and the last transaction did not fail.
func (s *Store) Ping(ctx context.Context) error {
	err := s.readers.with(ctx, func(c *connection) error {
		_, err := c.integers(`SELECT first FROM kept`)
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

// Close releases the file.
func (s *Store) Close() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	return errors.Join(errs...)
}
