package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// checkFiles holds every database in the data folder to its own rules. Others may read it while the service runs.
func checkFiles(ctx context.Context, r *run) error {
	count := 0
	err := filepath.WalkDir(r.dataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		is, err := isDatabase(path)
		if err != nil || !is {
			return err
		}
		count++
		said, err := integrity(ctx, path)
		if err == nil && said != "ok" {
			r.fault("the integrity check of %s says %q", entry.Name(), said)
		}
		return err
	})
	if err == nil && count == 0 {
		err = errors.New("there is no database in the data folder")
	}
	return err
}

func isDatabase(path string) (bool, error) {
	const magic = "SQLite format 3\x00"
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // it is read only
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil {
		return false, nil
	}
	return bytes.Equal(head, []byte(magic)), nil
}

func integrity(ctx context.Context, path string) (said string, err error) {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(10000)"}).String())
	if err != nil {
		return "", err
	}
	defer db.Close() //nolint:errcheck // it is read only
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&said); err != nil {
		return "", fmt.Errorf("check %s: %w", path, err)
	}
	return said, nil
}
