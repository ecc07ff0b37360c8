package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver of raw inserts
)

// rawBatch is how many events a raw insert has in one transaction, as the consumer has at most.
const rawBatch = 2000

// place is where a store is kept for one measurement.
type place struct {
	kind, url string
	drop      func(context.Context) error
}

// newPlace makes an empty one: a file of its own, or a database of its own on the server of the URL.
func (o options) newPlace(ctx context.Context, storeURL, name string) (place, error) {
	if kind(storeURL) == "sqlite" {
		file := filepath.Join(o.folder, name, "events.db") // a folder belongs to one process
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return place{}, err
		}
		return place{kind: "sqlite", url: "sqlite:" + file, drop: func(context.Context) error { return nil }}, nil
	}
	u, err := url.Parse(storeURL)
	if err != nil {
		return place{}, err
	}
	name = "scale_" + strings.ReplaceAll(name, "-", "_")
	admin := func(ctx context.Context, statement string) error {
		conn, err := pgx.Connect(ctx, storeURL)
		if err != nil {
			return err
		}
		defer conn.Close(ctx) //nolint:errcheck // nothing is pending
		_, err = conn.Exec(ctx, statement)
		return err
	}
	if err := admin(ctx, "DROP DATABASE IF EXISTS "+name); err != nil {
		return place{}, err
	}
	if err := admin(ctx, "CREATE DATABASE "+name); err != nil {
		return place{}, err
	}
	u.Path = "/" + name
	return place{kind: "postgres", url: u.String(), drop: func(ctx context.Context) error {
		return admin(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}}, nil
}

// rawInsert measures the plain insert of events into a table with the columns and indexes of a store, in transactions of a
// batch, by the fastest way that the database has; it returns events a second.
func (o options) rawInsert(ctx context.Context, storeURL string) (float64, error) {
	p, err := o.newPlace(ctx, storeURL, "raw")
	if err != nil {
		return 0, err
	}
	defer p.drop(context.WithoutCancel(ctx)) //nolint:errcheck // the next run drops it
	var took time.Duration
	if p.kind == "sqlite" {
		took, err = rawSQLite(ctx, strings.TrimPrefix(p.url, "sqlite:"), o.rawEvents)
	} else {
		took, err = rawPostgres(ctx, p.url, o.rawEvents)
	}
	return rate(o.rawEvents, took), err
}

// rows makes the rows of a batch.
func rows(from, n int) ([][]any, error) {
	all := make([][]any, 0, rawBatch)
	for i := from; i < min(from+rawBatch, n); i++ {
		e, err := event(i, n)
		if err != nil {
			return nil, err
		}
		id := e.ID()
		all = append(all, []any{int64(i), id[:], e.UserID(), e.EventType(), e.Timestamp().Unix(), e.Timestamp().Nanosecond(), e.JSON()})
	}
	return all, nil
}

const rawIndexes = `
CREATE UNIQUE INDEX raw_id ON raw (id);
CREATE INDEX raw_user ON raw (user_id, seq);
CREATE INDEX raw_type ON raw (event_type, seq);
CREATE INDEX raw_user_type ON raw (user_id, event_type, seq);`

func rawSQLite(ctx context.Context, file string, n int) (time.Duration, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-65536)")
	if err != nil {
		return 0, err
	}
	defer db.Close() //nolint:errcheck // it is thrown away
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE raw (seq INTEGER PRIMARY KEY, id BLOB, user_id TEXT, event_type TEXT,
		sec INTEGER, nsec INTEGER, json BLOB);`+rawIndexes); err != nil {
		return 0, err
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO raw VALUES (?,?,?,?,?,?,?)")
	if err != nil {
		return 0, err
	}
	return timed(n, func(batch [][]any) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()                  //nolint:errcheck // it is committed
		bound := tx.StmtContext(ctx, insert) //nolint:sqlclosecheck // it ends with the transaction
		for _, row := range batch {
			if _, err := bound.ExecContext(ctx, row...); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

func rawPostgres(ctx context.Context, databaseURL string, n int) (time.Duration, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is pending
	if _, err := conn.Exec(ctx, `CREATE TABLE raw (seq bigint PRIMARY KEY, id uuid, user_id text COLLATE "C", event_type text COLLATE "C",
		sec bigint, nsec int, json bytea);`+rawIndexes); err != nil {
		return 0, err
	}
	columns := []string{"seq", "id", "user_id", "event_type", "sec", "nsec", "json"}
	return timed(n, func(batch [][]any) error {
		for _, row := range batch {
			row[1] = [16]byte(row[1].([]byte)) //nolint:errcheck,forcetypeassert // rows made it
		}
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"raw"}, columns, pgx.CopyFromRows(batch))
		return err
	})
}

// timed measures the insertion of batches, without the making of their rows.
func timed(n int, insert func(batch [][]any) error) (took time.Duration, err error) {
	for from := 0; from < n; from += rawBatch {
		batch, err := rows(from, n)
		if err != nil {
			return 0, err
		}
		begun := time.Now()
		if err := insert(batch); err != nil {
			return 0, fmt.Errorf("raw insert: %w", err)
		}
		took += time.Since(begun)
	}
	return took, nil
}
