package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID is what the first migration writes.
const applicationID = 1853056561

// migrate brings the file to this build's schema.
func migrate(ctx context.Context, db *sql.DB, files fs.FS) error {
	if err := recognise(ctx, db); err != nil {
		return err
	}
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName("migrations"))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("look up the version: %w", failure(ctx, err))
	}
	if current > known {
		return fmt.Errorf("it is of version %d, and this build knows versions up to %d: use a newer build", current, known)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring it to version %d: %w", known, failure(ctx, err))
	}
	return nil
}

var errForeign = errors.New("it is a database of another program")

// recognise refuses what this program did not make.
func recognise(ctx context.Context, db *sql.DB) error {
	var id, tables int
	row := db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema WHERE name != 'migrations' AND name NOT LIKE 'sqlite_%')`)
	if err := row.Scan(&id, &tables); err != nil {
		return failure(ctx, err)
	}
	if id != applicationID && (id != 0 || tables > 0) {
		return errForeign
	}
	return nil
}
