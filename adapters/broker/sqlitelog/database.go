package sqlitelog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/netstreamflow/netstreamflow/domain"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// applicationID marks the file as a log, as migrations/00001_log.sql does.
	applicationID = 1853056620
	// migrationTable is not goose's default, so that no other part's database is taken for a log.
	migrationTable = "log_migrations"
	// readers is how many connections read at once; a subscription holds one only while it loads a chunk.
	readers = 8
	// The file "-wal" is copied into the database when it has walPages pages, and is cut to walBytes should readers have
	// kept it from beginning again. A larger one makes commits cheaper, and a start after a crash slower.
	walPages = 4000
	walBytes = 64 << 20
	// busy is how long SQLite waits for a lock, in milliseconds. In order, there is none to wait for.
	busy = 5000
)

// file is the open database: one connection writes, several read.
type file struct {
	path          string
	writes, reads *sql.DB
}

// openFile opens the database and brings its schema up to date.
func openFile(ctx context.Context, path string, lazy bool) (*file, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	synchronous := "FULL"
	if lazy {
		synchronous = "NORMAL"
	}
	f := &file{path: path}
	var err error
	if f.writes, err = connect(path, "journal_mode(WAL)", "synchronous("+synchronous+")",
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages), fmt.Sprintf("journal_size_limit(%d)", walBytes)); err != nil {
		return nil, opening(path, err)
	}
	f.writes.SetMaxOpenConns(1)
	if f.reads, err = connect(path, "query_only(1)"); err != nil {
		_ = f.writes.Close() // it was not used
		return nil, opening(path, err)
	}
	f.reads.SetMaxOpenConns(readers)
	f.reads.SetMaxIdleConns(readers)
	if err := f.prepare(ctx); err != nil {
		_ = f.close() // what is wrong is known
		return nil, err
	}
	return f, nil
}

// create makes the file, if it is missing, for its owner alone; SQLite gives its other files the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return f.Close()
}

func connect(path string, pragmas ...string) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busy)}, pragmas...)}
	name := url.URL{Path: filepath.ToSlash(absolute)}
	return sql.Open("sqlite", "file:"+name.EscapedPath()+"?"+query.Encode())
}

// prepare checks that the file is a log, and migrates it.
func (f *file) prepare(ctx context.Context) error {
	var id, tables int64
	err := f.writes.QueryRowContext(ctx, `SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id`).
		Scan(&id, &tables)
	if err != nil {
		return opening(f.path, err)
	}
	if id != applicationID && tables > 0 {
		return domain.Invalid("", "names "+f.path+", which is a database, but no log")
	}
	if tables > 0 { // goose takes a table that it cannot read for a missing one
		var version int64
		if err := f.writes.QueryRowContext(ctx, "SELECT max(version_id) FROM "+migrationTable).Scan(&version); err != nil {
			return opening(f.path, err)
		}
	}
	if err := f.migrate(ctx); err != nil {
		return opening(f.path, err)
	}
	if err := f.reads.PingContext(ctx); err != nil {
		return opening(f.path, err)
	}
	return nil
}

func (f *file) migrate(ctx context.Context) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	store, err := database.NewStore(database.DialectSQLite3, migrationTable)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider("", f.writes, folder, goose.WithStore(store))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// close closes all connections; the last one copies "-wal" into the database and removes it.
func (f *file) close() error {
	return errors.Join(f.reads.Close(), f.writes.Close())
}
