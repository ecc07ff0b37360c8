package postgres

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const secret = "s3cr3t-w0rd"

func TestBadURLs(t *testing.T) {
	for _, rest := range []string{
		"", "x", "user=u password=" + secret, "//u:" + secret + "@h:port/db", "//u:" + secret + "@h/db?sslmode=maybe",
		"//u:" + secret + "%zz@h/db", "//u:" + secret + "@h/db?pool_max_conns=many", "//u@h/db?sslmode=verify-ca&sslrootcert=/nowhere&password=" + secret,
		"//u:" + secret + "@h/db?sslmod=require",
	} {
		s, err := Open(t.Context(), rest, store.Options{Password: func() string { return secret }})
		if !errors.Is(err, domain.ErrInvalid) || s != nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, %v; want a domain.ErrInvalid without the secret", rest, s, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "//h/db", store.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

// TestPassword has the setting go before the URL.
func TestPassword(t *testing.T) {
	now := secret
	cfg, err := parse("//u:other@h/db?pool_max_conns=3", store.Options{Password: func() string { return now }})
	if err != nil || cfg.MaxConns != 3 || cfg.ConnConfig.ConnectTimeout == 0 {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, now = range []string{secret, "another one"} {
		if c, err := current(t.Context(), cfg); err != nil || c.Password != now {
			t.Errorf("got the password %q, %v; want %q", c.Password, err, now)
		}
	}
	cfg, err = parse("//u:other@h/db?connect_timeout=7&search_path=s&TimeZone=UTC&options=-c%20work_mem%3D8MB", store.Options{})
	if err != nil || cfg.ConnConfig.Password != "other" || cfg.MaxConns != maxReaders || cfg.ConnConfig.ConnectTimeout != 7*time.Second {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// calls are all that need the server.
func calls(s *Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Ping": s.Ping,
		"Record": func(ctx context.Context) error {
			_, err := s.Record(ctx, application.Batch{Topic: "events", Taken: map[int32]int64{1: 1}})
			return err
		},
		"Positions": func(ctx context.Context) error { _, err := s.Positions(ctx, "events"); return err },
		"Event":     func(ctx context.Context) error { _, err := s.Event(ctx, domain.UUID{1}); return err },
		"Query": func(ctx context.Context) error {
			_, err := s.Query(ctx, application.Query{}, func([]byte) error { return nil })
			return err
		},
		"Expire": func(ctx context.Context) error { _, err := s.Expire(ctx, time.Unix(1, 0)); return err },
	}
}

// TestNoServer has addresses where nobody listens, where nobody answers, and what a real server refuses.
func TestNoServer(t *testing.T) {
	server := brokertest.FromEnvironment(t, "NSF_TEST_POSTGRES")
	other := func(change func(*url.URL)) string {
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for name, address := range map[string]string{
		"refused":   "postgres://u:" + secret + "@127.0.0.1:1/db",
		"silent":    "postgres://u:" + secret + "@" + silent.Addr().String() + "/db?connect_timeout=1",
		"database":  other(func(u *url.URL) { u.Path = "/no_such_database" }),
		"user":      other(func(u *url.URL) { u.User = url.UserPassword("nobody", secret) }),
		"no schema": other(func(u *url.URL) { u.RawQuery = "search_path=no_such_schema" }),
	} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, address)
			defer closeIt(t, s)
			for call, f := range calls(s) {
				if err := f(t.Context()); !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "SELECT") {
					t.Errorf("%s: %v", call, err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := f(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("%s with a cancelled context: %v", call, err)
				}
			}
		})
	}
}

// TestOpenTogether has many instances make the schema at once.
func TestOpenTogether(t *testing.T) {
	address := newSchema(t)
	var running sync.WaitGroup
	for range 10 {
		running.Go(func() {
			s := openAt(t, address)
			defer closeIt(t, s)
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("Ping: %v", err)
			}
		})
	}
	running.Wait()
	s := openAt(t, address)
	defer closeIt(t, s)
	if n := query[int](t, s, `SELECT count(*) FROM migrations WHERE version_id > 0`)[0]; n != 1 {
		t.Errorf("the migration ran %d times", n)
	}
}

func TestOtherSchemas(t *testing.T) {
	address := newSchema(t)
	administer(t, address, `CREATE TABLE users (name text)`)
	s := openAt(t, address)
	defer closeIt(t, s)
	if err := s.Ping(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("a table of another program: %v", err)
	}
	administer(t, address, `DROP TABLE users`)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

// TestVersions opens a schema again, with a build that knows more, and with one that knows less.
func TestVersions(t *testing.T) {
	address := newSchema(t)
	s := openAt(t, address)
	entries := storetest.BenchEntries(100)
	record(t, s, entries...)
	closeIt(t, s)
	first, err := migrations.ReadFile("migrations/0001_events.sql")
	if err != nil {
		t.Fatal(err)
	}
	upgrade(t, address, fstest.MapFS{
		"migrations/0001_events.sql": {Data: first},
		"migrations/0002_more.sql":   {Data: []byte("-- +goose Up\nALTER TABLE events ADD COLUMN more text;\n")},
	})
	s = openAt(t, address)
	if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "version 2, and this build knows versions up to 1") {
		t.Errorf("an older version: %v", err)
	}
	closeIt(t, s)
	administer(t, address, "DELETE FROM migrations WHERE version_id = 2")
	s = openAt(t, address)
	defer closeIt(t, s)
	if got := follow(t, s, application.Query{Limit: 1000}); got != len(entries) {
		t.Errorf("%d events", got)
	}
}

func upgrade(t *testing.T, address string, files fs.FS) {
	t.Helper()
	_, rest, _ := strings.Cut(address, ":")
	cfg, err := parse(rest, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), cfg.ConnConfig, files); err != nil {
		t.Errorf("a newer version: %v", err)
	}
}
