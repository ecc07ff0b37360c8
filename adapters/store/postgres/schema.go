package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/netstreamflow/netstreamflow/domain"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	versionTable = "migrations"
	// lockSeconds is how long an instance waits for another one that migrates, asking each second.
	lockSeconds = 600
)

// migrate brings the database to this build's schema.
func migrate(ctx context.Context, cfg *pgx.ConnConfig, files fs.FS) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	db := stdlib.OpenDB(*closedWith(ctx, cfg))
	defer func() { err = errors.Join(err, db.Close()) }()
	schema, err := recognise(ctx, db)
	if err != nil {
		return err
	}
	provider, err := newProvider(db, schema, files)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	sources := provider.ListSources()
	known := sources[len(sources)-1].Version
	current, err := version(ctx, db)
	switch {
	case err != nil:
		return fmt.Errorf("look up the version: %w", failure(ctx, err))
	case current > known:
		return fmt.Errorf("%w: it is of version %d, and this build knows versions up to %d: use a newer build", domain.ErrUnavailable, current, known)
	case current == known:
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring it to version %d: %w", known, failure(ctx, err))
	}
	return nil
}

func newProvider(db *sql.DB, schema string, files fs.FS) (*goose.Provider, error) {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockOf(schema)), lock.WithLockTimeout(1, lockSeconds))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, folder,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName(versionTable), goose.WithSessionLocker(locker))
}

// lockOf returns the number of the advisory lock that those who migrate the schema take turns by.
func lockOf(schema string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("netstreamflow " + schema))
	return int64(h.Sum64()) //nolint:gosec // the same bits
}

// version returns that of the schema, 0 for an empty one.
func version(ctx context.Context, db *sql.DB) (v int64, err error) {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable+` WHERE is_applied`).Scan(&v)
	return v, err
}

// selectForeign counts tables that would be in the way. The table of versions comes before all others, which come at once.
const selectForeign = `SELECT count(*) FROM (VALUES ('migrations', 'migrations', 'version_id'), ('events', 'kept', 'first'), ('users', 'kept', 'first'))
		AS ours (name, witness, witness_column)
	WHERE EXISTS (SELECT FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = name)
	AND NOT EXISTS (SELECT FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = witness AND column_name = witness_column)`

// recognise refuses a database that cannot hold the store or that holds something else, and returns the schema's name.
func recognise(ctx context.Context, db *sql.DB) (schema string, err error) {
	var name sql.NullString
	var encoding string
	var foreign int
	row := db.QueryRowContext(ctx, `SELECT current_schema(), current_setting('server_encoding'), (`+selectForeign+`)`)
	if err := row.Scan(&name, &encoding, &foreign); err != nil {
		return "", failure(ctx, err)
	}
	switch {
	case !name.Valid:
		return "", fmt.Errorf("%w: its search_path names no schema that there is", domain.ErrUnavailable)
	case encoding != "UTF8":
		return "", fmt.Errorf("%w: its encoding is %s, and must be UTF8", domain.ErrUnavailable, encoding)
	case foreign > 0:
		return "", fmt.Errorf("%w: its schema %s has tables of another program: name a schema of its own with ?search_path=", domain.ErrUnavailable, name.String)
	}
	return name.String, nil
}
