package postgres

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

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
	p := newProxy(t, newSchema(t))
	s := openAt(t, p.address)
	defer closeIt(t, s)
	usual := s.patience
	s.patience = time.Second
	entries := storetest.BenchEntries(1000)
	record(t, s, entries...)
	p.stall(true)
	for name, f := range calls(s) {
		begin := time.Now()
		if err := f(t.Context()); !errors.Is(err, domain.ErrUnavailable) || time.Since(begin) > 10*time.Second {
			t.Errorf("%s while the server stands still: %v after %v", name, err, time.Since(begin))
		}
	}
	s.patience = usual // the disk may be slow
	p.stall(false)
	p.cut()
	await(t, func() bool { _, err := s.Positions(t.Context(), "events"); return err == nil })
	if got := follow(t, s, application.Query{Limit: 1000}); got != len(entries) {
		t.Errorf("%d of %d events", got, len(entries))
	}
	p.cut()
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

// proxy passes bytes on to a server.
type proxy struct {
	address string
	target  string
	running sync.WaitGroup

	mu      sync.Mutex
	free    *sync.Cond
	stalled bool
	closed  bool
	conns   []net.Conn
}

func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: u.Host}
	p.free = sync.NewCond(&p.mu)
	u.Host = listener.Addr().String()
	p.address = u.String()
	p.running.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.stall(false)
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		closed := p.closed
		p.mu.Unlock()
		if closed {
			p.cut()
		}
		p.running.Go(func() { p.pass(client, server) })
		p.running.Go(func() { p.pass(server, client) })
	}
}

// pass copies until an end is closed, and then closes the other one.
func (p *proxy) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.stalled {
			p.free.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

// stall keeps everything back, or lets it go.
func (p *proxy) stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = on
	p.free.Broadcast()
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
