package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestLocations(t *testing.T) {
	folder := t.TempDir()
	odd := filepath.Join(folder, "a b%20#c", "ü&x=y.db")
	for rest, want := range map[string]string{
		"":  filepath.Join(folder, "data", "events.db"),
		odd: odd,
	} {
		var claimed []string
		s, err := Open(t.Context(), rest, store.Options{DataDir: filepath.Join(folder, "data"), Claim: func(folder string) error {
			claimed = append(claimed, folder)
			return os.MkdirAll(folder, 0o700)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if s.Volatile() || s.Ping(t.Context()) != nil || len(claimed) != 1 || claimed[0] != filepath.Dir(want) {
			t.Errorf("%q: claimed %q", rest, claimed)
		}
		for _, name := range []string{want, want + "-wal", want + "-shm"} {
			if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBadURLs(t *testing.T) {
	folder := t.TempDir()
	o := store.Options{DataDir: folder}
	for _, rest := range []string{"?mode=ro", "x.db?", "//x.db", "///x.db", ":memory:", folder, folder + "/", "x\x00"} {
		if s, err := Open(t.Context(), rest, o); !errors.Is(err, domain.ErrInvalid) || s != nil {
			t.Errorf("%q: %v, %v; want a domain.ErrInvalid", rest, s, err)
		}
	}
	held := errors.New("held by another process")
	o.Claim = func(string) error { return held }
	if _, err := Open(t.Context(), "", o); !errors.Is(err, held) {
		t.Errorf("the folder is another's: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "events.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made in another's folder: %v", err)
	}
}

func TestOtherFiles(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(folder, "foreign")
	change(t, foreign, "CREATE TABLE events (x)")
	for path, want := range map[string]string{text: "not a database", foreign: "another program"} {
		before, _ := os.ReadFile(path)
		if s, err := Open(t.Context(), path, store.Options{}); err == nil || !strings.Contains(err.Error(), want) || s != nil {
			t.Errorf("%s: %v, want an error that says %q", path, err, want)
		}
		if after, _ := os.ReadFile(path); len(after) != len(before) {
			t.Errorf("%s was changed", path)
		}
	}
}

// change runs a statement on the file.
func change(t *testing.T, path, text string) {
	t.Helper()
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	w, err := newWriter(path)
	if err != nil {
		t.Fatal(err)
	}
	if w.connection, err = connect(t.Context(), w.connector); err != nil {
		t.Fatal(err)
	}
	if _, err := w.exec(text); err != nil {
		t.Fatal(err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}

// TestVersions opens a file again, with a build that knows more, and with one that knows less.
func TestVersions(t *testing.T) {
	s := openIn(t, t.TempDir())
	entries := storetest.BenchEntries(100)
	record(t, s, entries...)
	closeIt(t, s)
	if err := prepareFile(t.Context(), s.path, migrations); err != nil {
		t.Errorf("the same version: %v", err)
	}
	first, err := migrations.ReadFile("migrations/0001_events.sql")
	if err != nil {
		t.Fatal(err)
	}
	newer := fstest.MapFS{
		"migrations/0001_events.sql": {Data: first},
		"migrations/0002_more.sql":   {Data: []byte("-- +goose Up\nALTER TABLE events ADD COLUMN more TEXT;\n")},
	}
	if err := prepareFile(t.Context(), s.path, newer); err != nil {
		t.Errorf("a newer version: %v", err)
	}
	_, err = Open(t.Context(), s.path, store.Options{})
	if err == nil || !strings.Contains(err.Error(), "version 2, and this build knows versions up to 1") {
		t.Errorf("an older version: %v", err)
	}
	change(t, s.path, "DELETE FROM migrations WHERE version_id = 2")
	s = openIn(t, filepath.Dir(s.path))
	defer closeIt(t, s)
	if got := follow(t, s, application.Query{Limit: 1000}); got != len(entries) {
		t.Errorf("%d events", got)
	}
}

func TestOpenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "", store.Options{DataDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
