package sqlite

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openIn opens the store in the folder.
func openIn(t testing.TB, folder string) *Store {
	t.Helper()
	s, err := open(t.Context(), "", store.Options{DataDir: folder})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// memoryFolder returns a new folder that is kept in memory, if there is a place for that: the suite waits for thousands of
// records, and the disk is tried by other tests.
func memoryFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "netstreamflow") //nolint:usetesting // its folder is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) application.Store { return openIn(t, memoryFolder(t)) })
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T) func(*testing.T) application.Store {
		folder := t.TempDir()
		return func(t *testing.T) application.Store { return openIn(t, folder) }
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) application.Store { return openIn(b, b.TempDir()) })
}

func closeIt(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// record stores entries that are all new.
func record(t testing.TB, s *Store, entries ...application.Entry) {
	t.Helper()
	for batch := range slices.Chunk(entries, 2000) {
		if added, err := s.Record(t.Context(), application.Batch{Topic: "events", Entries: batch}); added != len(batch) || err != nil {
			t.Fatalf("Record of %d: %d, %v", len(batch), added, err)
		}
	}
}
