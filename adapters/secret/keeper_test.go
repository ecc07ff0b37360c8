package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// remote is a source elsewhere.
type remote struct {
	calls atomic.Int64
	fetch func(ctx context.Context, call int64) (string, error)
}

func (r *remote) Fetch(ctx context.Context) (string, error) { return r.fetch(ctx, r.calls.Add(1)) }

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func keep(t *testing.T, refresh time.Duration, secrets ...Named) (*Keeper, *buffer) {
	t.Helper()
	log := &buffer{}
	k, err := Keep(t.Context(), secrets, refresh, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k, log
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// TestFileIsReread changes a file in the ways in which files of secrets change.
func TestFileIsReread(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "password")
	write(t, path, "first")
	k, log := keep(t, 0, Named{Setting: "some-password", Scheme: "file", Source: open(t, "file:"+path)})
	current := k.Current("some-password")
	if got := current(); got != "first" {
		t.Fatalf("got %q", got)
	}
	write(t, path, "second\n")
	await(t, "the file was written", func() bool { return current() == "second" })
	next := filepath.Join(folder, "next")
	write(t, next, "third")
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	await(t, "the file was replaced", func() bool { return current() == "third" })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	await(t, "a warning", func() bool { return strings.Contains(log.String(), "cannot be fetched again") })
	if got := current(); got != "third" {
		t.Errorf("got %q after the file has gone", got)
	}
	write(t, path, "fourth")
	await(t, "the file is back", func() bool { return current() == "fourth" })
	for _, s := range []string{"first", "second", "third", "fourth"} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log has the secret: %s", log)
		}
	}
}

// TestValueThatCannotBeUsed does not take the place of one that can, and is told once, without it.
func TestValueThatCannotBeUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, "a long secret")
	check := func(s string) error {
		if len(s) < 10 {
			return errors.New("must be long")
		}
		return nil
	}
	k, log := keep(t, 0, Named{Setting: "some-secret", Scheme: "file", Source: open(t, "file:"+path), Check: check})
	current := k.Current("some-secret")
	write(t, path, "stubby")
	await(t, "a fault", func() bool { return k.Fault("some-secret") != nil })
	for range 3 {
		k.refetch(t.Context(), k.kept["some-secret"])
	}
	if got := current(); got != "a long secret" {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(log.String(), "must be long"); n != 1 || strings.Contains(log.String(), "has changed") || strings.Contains(log.String(), "stubby") {
		t.Errorf("told %d times: %s", n, log)
	}
	write(t, path, "another long one")
	await(t, "the new value", func() bool { return current() == "another long one" && k.Fault("some-secret") == nil })
	if k.Fault("no-such-secret") != nil {
		t.Error("a secret that is not kept has a fault")
	}
}

// TestMountedSecretIsReread swaps the link of a folder, as Kubernetes does.
func TestMountedSecretIsReread(t *testing.T) {
	folder := t.TempDir()
	link := func(version string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(folder, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, version, "password"), version)
		if err := os.Symlink(version, filepath.Join(folder, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(folder, "..tmp"), filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("..1")
	path := filepath.Join(folder, "password")
	if err := os.Symlink(filepath.Join("..data", "password"), path); err != nil {
		t.Fatal(err)
	}
	k, _ := keep(t, time.Hour, Named{Setting: "some-password", Scheme: "file", Source: open(t, "file:"+path)})
	current := k.Current("some-password")
	if got := current(); got != "..1" {
		t.Fatalf("got %q", got)
	}
	link("..2")
	await(t, "the link was swapped", func() bool { return current() == "..2" })
}

// TestRefresh fetches again, and goes on with the last value while that fails.
func TestRefresh(t *testing.T) {
	r := &remote{fetch: func(_ context.Context, call int64) (string, error) {
		switch {
		case call < 3:
			return "old", nil
		case call < 6:
			return "", fmt.Errorf("%w: away", domain.ErrUnavailable)
		}
		return "new", nil
	}}
	k, log := keep(t, time.Millisecond, Named{Setting: "some-password", Scheme: "remote", Source: r})
	current := k.Current("some-password")
	await(t, "it fails", func() bool { return r.calls.Load() >= 4 || current() == "new" })
	await(t, "the new value", func() bool { return current() == "new" })
	await(t, "a word of it", func() bool { return strings.Contains(log.String(), "a secret has changed") })
	if n := strings.Count(log.String(), "cannot be fetched again"); n != 1 {
		t.Errorf("%d warnings of three failures in a row: %s", n, log)
	}
	k.Close()
	calls := r.calls.Load()
	time.Sleep(10 * time.Millisecond)
	if got := r.calls.Load(); got != calls || current() != "new" {
		t.Errorf("%d calls after the end, the value is %q", got-calls, current())
	}
}

// TestNoRefresh leaves what is elsewhere alone.
func TestNoRefresh(t *testing.T) {
	r := &remote{fetch: func(context.Context, int64) (string, error) { return "value", nil }}
	k, _ := keep(t, 0, Named{Setting: "a", Scheme: "remote", Source: r}, Named{Setting: "b", Source: literal("plain")})
	if k.Current("a")() != "value" || k.Current("b")() != "plain" || k.Current("c") != nil {
		t.Error("the values are not those of the settings")
	}
	k.running.Wait() // nothing runs
	if n := r.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestKeepFails(t *testing.T) {
	good := &remote{fetch: func(context.Context, int64) (string, error) { return "g00d", nil }}
	hangs := &remote{fetch: func(ctx context.Context, _ int64) (string, error) {
		<-ctx.Done()
		return "", fmt.Errorf("%w: ask\n\tthe server: %w", domain.ErrUnavailable, ctx.Err())
	}}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(50*time.Millisecond))
	defer cancel()
	_, err := Keep(ctx, []Named{{Setting: "a", Scheme: "remote", Source: good}, {Setting: "b", Scheme: "remote", Source: hangs}}, time.Hour, slog.New(slog.DiscardHandler))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, domain.ErrUnavailable) {
		t.Fatal(err)
	}
	if line := err.Error(); !strings.Contains(line, "--b: its secret (remote:)") || strings.ContainsAny(line, "\n\t") {
		t.Errorf("%q", line)
	}
}
