package postgres

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/proxytest"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestRealServerRestarts kills the server while events are recorded and read: calls say that it is away, and go on when it
// is back, with everything that was recorded.
func TestRealServerRestarts(t *testing.T) {
	command := os.Getenv("NSF_TEST_POSTGRES_RESTART")
	if command == "" {
		t.Skip("NSF_TEST_POSTGRES_RESTART is not set")
	}
	s := openAt(t, newSchema(t))
	defer closeIt(t, s)
	entries := storetest.BenchEntries(20_000)
	record(t, s, entries[:1000]...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		if out, err := exec.CommandContext(ctx, "bash", "-c", command).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	})
	failed := 0
	for i := 1000; i < len(entries); {
		batch := application.Batch{Topic: "events", Entries: entries[i : i+100], Taken: map[int32]int64{0: int64(i + 100)}}
		_, err := s.Record(ctx, batch)
		if err == nil {
			i += 100
			continue
		}
		if failed++; !errors.Is(err, domain.ErrUnavailable) {
			t.Fatalf("Record: %v", err)
		}
		if _, err := s.Query(ctx, application.Query{Limit: 10}, func([]byte) error { return nil }); err != nil && !errors.Is(err, domain.ErrUnavailable) {
			t.Fatalf("Query: %v", err)
		}
	}
	running.Wait()
	t.Logf("%d calls failed", failed)
	await(t, func() bool { return s.Ping(ctx) == nil })
	if got := follow(t, s, application.Query{Limit: 1000}); got != len(entries) {
		t.Errorf("%d of %d events", got, len(entries))
	}
}

// TestConnectionsStall has a proxy between that loses connections, and that keeps them open without a word.
func TestConnectionsStall(t *testing.T) {
	u, err := url.Parse(newSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	p := proxytest.New(t, u.Host)
	u.Host = p.Address
	s := openAt(t, u.String())
	defer closeIt(t, s)
	usual := s.patience
	s.patience = time.Second
	entries := storetest.BenchEntries(1000)
	record(t, s, entries...)
	p.Stall()
	for name, f := range calls(s) {
		begin := time.Now()
		if err := f(t.Context()); !errors.Is(err, domain.ErrUnavailable) || time.Since(begin) > 10*time.Second {
			t.Errorf("%s while the server stands still: %v after %v", name, err, time.Since(begin))
		}
	}
	s.patience = usual // the disk may be slow
	p.Start(t)
	p.Cut()
	// A write must succeed before Ping says that writes do.
	await(t, func() bool { return calls(s)["Record"](t.Context()) == nil })
	if got := follow(t, s, application.Query{Limit: 1000}); got != len(entries) {
		t.Errorf("%d of %d events", got, len(entries))
	}
	p.Cut()
	for name, f := range calls(s) {
		await(t, func() bool {
			err := f(t.Context())
			if err != nil && !errors.Is(err, domain.ErrUnavailable) && !errors.Is(err, domain.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			return err == nil || errors.Is(err, domain.ErrNotFound)
		})
	}
}
