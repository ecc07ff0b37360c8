package sqlite

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// full is a store that has no more room until more is called.
type full struct {
	*Store
	more func()
}

// TestFullFile has a limit to the file.
func TestFullFile(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	record(t, s, storetest.BenchEntries(10)...)
	limit := func(pages string) {
		t.Helper()
		if _, err := s.writer.integers("PRAGMA max_page_count = " + pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("300")
	testFull(t, full{s, func() { limit("100000") }})
}

// TestFullDisk has a small disk, which only root can make.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=4m", "none", folder).CombinedOutput(); err != nil {
		t.Skipf("a disk cannot be mounted: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.CommandContext(context.Background(), "umount", folder).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	}()
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openIn(t, folder)
	defer closeIt(t, s)
	testFull(t, full{s, func() {
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
	}})
}

// testFull records until there is no room, and again when there is.
func testFull(t *testing.T, s full) {
	t.Helper()
	entries := storetest.BenchEntries(20_000)
	batch, recorded := application.Batch{Topic: "t", Taken: map[int32]int64{0: 0}}, 0
	var err error
	for err == nil && recorded < len(entries)-100 {
		batch.Entries, batch.Taken[0] = entries[recorded:recorded+100], int64(recorded+100)
		if _, err = s.Record(t.Context(), batch); err == nil {
			recorded += 100
		}
	}
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full") {
		t.Fatalf("after %d events: %v, want a domain.ErrUnavailable", recorded, err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	before := all(t, s.Store)
	if got, err := s.Positions(t.Context(), "t"); err != nil || !maps.Equal(got, map[int32]int64{0: int64(recorded)}) {
		t.Errorf("positions after %d events: %v, %v", recorded, got, err)
	}
	s.more()
	if added, err := s.Record(t.Context(), batch); added != 100 || err != nil {
		t.Fatalf("with room again: %d, %v", added, err)
	}
	if after := all(t, s.Store); after != before+100 {
		t.Errorf("%d events, then %d", before, after)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping with room again: %v", err)
	}
}

func all(t *testing.T, s *Store) (count int) {
	t.Helper()
	if _, err := s.Query(t.Context(), application.Query{}, func([]byte) error { count++; return nil }); err != nil {
		t.Fatal(err)
	}
	return count
}

// TestLocked has another program in the middle of a change of the file.
func TestLocked(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	entries := storetest.BenchEntries(10)
	record(t, s, entries[:5]...)
	other, err := newWriter(s.path)
	if err != nil {
		t.Fatal(err)
	}
	locked, done, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- other.transact(context.Background(), func() error {
			close(locked)
			<-done
			return nil
		})
	}()
	<-locked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	batch := application.Batch{Entries: entries[5:]}
	if added, err := s.Record(ctx, batch); added != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Record: %d, %v", added, err)
	}
	if n := all(t, s); n != 5 {
		t.Errorf("%d events", n)
	}
	close(done)
	if err := errors.Join(<-ended, other.close()); err != nil {
		t.Error(err)
	}
	record(t, s, entries[5:]...)
}

// TestTurns has several goroutines record, remove and read, and one that gives up waiting for its turn.
func TestTurns(t *testing.T) {
	s := openIn(t, memoryFolder(t))
	defer closeIt(t, s)
	err := s.writer.transact(t.Context(), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.Expire(ctx, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Expire: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 2500
	entries := storetest.BenchEntries(writers * each)
	ended := make(chan struct{})
	for w := range writers {
		go func() {
			defer func() { ended <- struct{}{} }()
			for i := w * each; i < (w+1)*each; i += 100 {
				if added, err := s.Record(t.Context(), application.Batch{Entries: entries[i : i+100]}); added != 100 || err != nil {
					t.Errorf("Record: %d, %v", added, err)
				}
			}
		}()
	}
	for range writers {
		<-ended
	}
	if n := all(t, s); n != len(entries) {
		t.Errorf("%d events", n)
	}
}
