package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFiles(t *testing.T) {
	folder := t.TempDir()
	r := &run{dataDir: folder}
	if err := checkFiles(t.Context(), r); err == nil {
		t.Error("a folder without a database passes")
	}
	path := filepath.Join(folder, "a.db")
	fillDatabase(t, path)
	if err := os.WriteFile(filepath.Join(folder, "other"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkFiles(t.Context(), r); err != nil || len(r.faults) > 0 {
		t.Errorf("got %v and %q of a good database", err, r.faults)
	}
	damage(t, path)
	if err := checkFiles(t.Context(), r); err == nil && len(r.faults) == 0 {
		t.Error("a damaged database passes")
	}
}

func fillDatabase(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"CREATE TABLE t (a TEXT)", "CREATE INDEX i ON t (a)"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (?)", strings.Repeat(string(rune('a'+i%26)), 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// damage overwrites the middle of the file.
func damage(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(text) / 3; i < len(text)*2/3; i++ {
		text[i] ^= 0x5a
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
