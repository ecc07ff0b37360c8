package sqlite

import (
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

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) application.Store { return openIn(t, t.TempDir()) })
}

// TestManyEventsOfAUser has all users in the table pairs after a few events.
func TestManyEventsOfAUser(t *testing.T) {
	storetest.Run(t, func(t *testing.T) application.Store {
		s := openIn(t, t.TempDir())
		s.writer.sampling = sampling{every: 1, enough: 4}
		return s
	})
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
