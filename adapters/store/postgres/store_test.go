package postgres

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newSchema makes a schema of its own on the server and returns its URL.
func newSchema(t testing.TB) string {
	t.Helper()
	server := brokertest.FromEnvironment(t, "NSF_TEST_POSTGRES")
	name := "test_" + strings.ToLower(rand.Text())
	administer(t, server, "CREATE SCHEMA "+name)
	t.Cleanup(func() { administer(t, server, "DROP SCHEMA "+name+" CASCADE") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	values := u.Query()
	values.Set("search_path", name)
	u.RawQuery = values.Encode()
	return u.String()
}

// administer runs a statement.
func administer(t testing.TB, address, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Error(err)
	}
}

// openAt opens the store that the URL names.
func openAt(t testing.TB, address string) *Store {
	t.Helper()
	_, rest, _ := strings.Cut(address, ":")
	s, err := open(t.Context(), rest, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) application.Store { return openRelaxed(t, newSchema(t)) })
}

// openRelaxed opens a store that does not wait for the disk: the suite records thousands of times, and the disk is tried by
// other tests.
func openRelaxed(t testing.TB, address string) *Store {
	t.Helper()
	s := openAt(t, address)
	s.writer.pool.Close()
	writers, err := connections(t.Context(), s.readers.Config(), maxWriters, writerSession+`; SET synchronous_commit = off`)
	if err != nil {
		t.Fatal(err)
	}
	s.writer.pool = writers
	return s
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T) func(*testing.T) application.Store {
		address := newSchema(t)
		return func(t *testing.T) application.Store { return openAt(t, address) }
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) application.Store { return openAt(b, newSchema(b)) })
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

// await waits until the condition holds, for a while.
func await(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that in time")
		}
		time.Sleep(time.Millisecond)
	}
}

// query returns the first column of the rows.
func query[T any](t testing.TB, s *Store, text string) (out []T) {
	t.Helper()
	err := s.read(t.Context(), func(ctx context.Context, conn *pgx.Conn) (err error) {
		rows, _ := conn.Query(ctx, text)
		out, err = pgx.CollectRows(rows, pgx.RowTo[T])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
