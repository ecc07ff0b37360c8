package netstreamflow_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/proxytest"
)

func TestLimitSettings(t *testing.T) {
	for flag, values := range map[string]map[string]string{
		"rate-limit-publish": {"0": "", "100/s": "", "500/5s": "", "600/m": "", "1000000/24h": "", "7/1m30s": "",
			"100": "such as 100/s", "": "such as 100/s", "0/s": "such as 100/s", "-1/s": "such as 100/s", "1/0s": "such as 100/s",
			"1/500ms": "such as 100/s", "1/25h": "such as 100/s", "1000001/s": "such as 100/s", "1/x": "such as 100/s", "1.5/s": "such as 100/s"},
		"rate-limit-store": {"": "", "redis://h:6379/1": "", "rediss://user@h": "", "h:6379": "redis://", "redis://u:s3cret@h": "without a password"},
		"rate-limit-fail":  {"open": "", "closed": "", "ajar": "open or closed"},
		"trusted-proxies": {"": "", "10.0.0.0/8": "", "10.0.0.1, 2001:db8::/32": "", "::ffff:10.0.0.1": "",
			"10.0.0.0/33": "such as 10.0.0.0/8", "proxy.example.org": "such as 10.0.0.0/8"},
		"max-requests":    {"1": "", "0": "from 1"},
		"max-body-memory": {"1048576": "", "1000": "from 1048576"},
		"max-connections": {"10": "", "x": "from 1"},
		"query-timeout":   {"1s": "", "0": "from 10ms"},
		"max-queries":     {"2": "", "1": "from 2"},
	} {
		for value, allowed := range values {
			args := []string{"--" + flag + "=" + value}
			if flag == "rate-limit-store" || flag == "rate-limit-fail" {
				args = append(args, "--rate-limit-read=1/s")
			}
			cfg, err := load(t, args, nil)
			if err == nil {
				err = cfg.Validate()
			}
			if allowed == "" && err != nil || allowed != "" && (err == nil || !strings.Contains(err.Error(), allowed)) {
				t.Errorf("--%s=%s: %v", flag, value, err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is shown: %v", err)
			}
		}
	}
}

// TestLimitSettingsWithoutLimit: what only has an effect on limits is refused where there is none.
func TestLimitSettingsWithoutLimit(t *testing.T) {
	for _, flag := range []string{"--rate-limit-store=redis://h:6379/1", "--rate-limit-fail=closed"} {
		for _, limit := range []string{"--rate-limit-publish=0", "--rate-limit-publish=1/s", "--rate-limit-read=1/s"} {
			cfg, err := load(t, []string{flag, limit}, nil)
			if err == nil {
				err = cfg.Validate()
			}
			var fault *netstreamflow.SettingError
			name, _, _ := strings.Cut(flag, "=")
			switch limited := limit != "--rate-limit-publish=0"; {
			case limited && err != nil:
				t.Errorf("%s %s: %v", flag, limit, err)
			case !limited && (!errors.As(err, &fault) || !strings.Contains(err.Error(), name+" ") || !strings.Contains(err.Error(), "needs --rate-limit-publish")):
				t.Errorf("%s %s: %v", flag, limit, err)
			}
		}
	}
}

// inMemory is a configuration that needs no server.
func inMemory(t *testing.T) netstreamflow.Config {
	cfg := netstreamflow.DefaultConfig()
	cfg.Listen, cfg.Broker, cfg.Store, cfg.LogOutput = "127.0.0.1:0", "memory:", "memory:", t.Output()
	return cfg
}

// TestSharedLimit has two instances share the budget of a caller through Redis, which goes and comes back.
func TestSharedLimit(t *testing.T) {
	u, err := url.Parse(brokertest.FromEnvironment(t, "NSF_TEST_REDIS"))
	if err != nil {
		t.Fatal(err)
	}
	for fail, away := range map[string]int{"open": http.StatusAccepted, "closed": http.StatusServiceUnavailable} {
		t.Run(fail, func(t *testing.T) {
			p := proxytest.New(t, u.Host)
			address := *u
			address.Host, address.Path = p.Address, "/1"
			cfg := inMemory(t)
			if err := set(&cfg, "--rate-limit-publish=10/1h", "--rate-limit-fail="+fail, "--rate-limit-store="+address.String()); err != nil {
				t.Fatal(err)
			}
			one, _ := start(t, cfg)
			other, _ := start(t, cfg)
			// Both know the caller by 127.0.0.1, which other runs of the test have used up.
			for _, instance := range []string{one, other} {
				awaitCounted(t, instance)
			}
			clearRedis(t, u.Host)
			for i := range 10 {
				if r := post(t, []string{one, other}[i%2], "user"); r.status != http.StatusAccepted || r.header.Get("RateLimit") == "" {
					t.Fatalf("event %d: %d %q", i, r.status, r.header)
				}
			}
			for _, instance := range []string{one, other} {
				r := post(t, instance, "user")
				if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "360" {
					t.Errorf("%d, Retry-After %q", r.status, r.header.Get("Retry-After"))
				}
			}
			p.Stop()
			awaitPost(t, one, "user", away)
			for range 20 {
				if r := post(t, one, "user"); r.status != away || r.took > time.Second {
					t.Errorf("%d after %v while Redis is away", r.status, r.took)
				}
			}
			if status, body := get(t, one+"/health/ready"); (status == http.StatusOK) != (fail == "open") || !strings.Contains(body, "rate limits") {
				t.Errorf("%d %s", status, body)
			}
			p.Start(t)
			awaitGet(t, one+"/health/ready", http.StatusOK) // before anybody has asked
			awaitPost(t, one, "user", http.StatusTooManyRequests)
			for begun := time.Now(); ; {
				status, body := get(t, one+"/health/ready")
				if status == http.StatusOK && !strings.Contains(body, "rate limits") {
					break
				}
				if time.Since(begun) > patience {
					t.Fatalf("%d %s", status, body)
				}
			}
		})
	}
}

// awaitCounted publishes until the limits are held: the first connection to Redis may take longer than a request waits.
func awaitCounted(t *testing.T, url string) {
	t.Helper()
	for begun := time.Now(); post(t, url, "user").header.Get("RateLimit") == ""; {
		if time.Since(begun) > patience {
			t.Fatal("the limits are not held")
		}
	}
}

// set sets settings as flags would, "--name=value".
func set(cfg *netstreamflow.Config, flags ...string) error {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	cfg.AddFlags(fs)
	return fs.Parse(flags)
}

// clearRedis empties the database of the tests here.
func clearRedis(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "SELECT 1\r\nFLUSHDB\r\n")
	answer := make([]byte, 10)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "+OK\r\n+OK\r\n" {
		t.Fatalf("%q %v", answer, err)
	}
}

// newSchema makes a schema of its own on the server and returns its name.
func newSchema(t *testing.T, server string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	administer(t, server, "CREATE SCHEMA "+name)
	t.Cleanup(func() { administer(t, server, "DROP SCHEMA "+name+" CASCADE") })
	return name
}

func administer(t *testing.T, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Error(err)
	}
}

// behindProxy is a configuration with a PostgreSQL behind a proxy.
func behindProxy(t *testing.T) (netstreamflow.Config, *proxytest.Proxy) {
	t.Helper()
	u, err := url.Parse(brokertest.FromEnvironment(t, "NSF_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	values := u.Query()
	values.Set("search_path", newSchema(t, u.String()))
	u.RawQuery = values.Encode()
	p := proxytest.New(t, u.Host)
	u.Host = p.Address
	cfg := netstreamflow.DefaultConfig()
	cfg.Listen, cfg.DataDir, cfg.Store, cfg.LogOutput = "127.0.0.1:0", t.TempDir(), u.String(), t.Output()
	return cfg, p
}

// TestStoreAway has a PostgreSQL go away, stand still, and come back, behind a proxy: queries are refused at once, publishing
// goes on, and all is well by itself afterwards.
func TestStoreAway(t *testing.T) {
	for name, away := range map[string]func(*proxytest.Proxy){"refuses": (*proxytest.Proxy).Stop, "hangs": (*proxytest.Proxy).Stall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, p := behindProxy(t)
			cfg.QueryTimeout = 500 * time.Millisecond
			url, _ := start(t, cfg)
			awaitPost(t, url, "user", http.StatusAccepted)
			const query = "/api/events?limit=10"
			awaitGet(t, url+query, http.StatusOK)
			for range 2 { // once more, when it has been back
				away(p)
				begun := time.Now()
				for body := ""; !strings.Contains(body, "queries are refused"); _, body = get(t, url+"/health/ready") {
					start := time.Now()
					_, _ = get(t, url+query)
					if took := time.Since(start); took > cfg.QueryTimeout+time.Second || time.Since(begun) > patience {
						t.Fatalf("an answer took %v after %v: %s", took, time.Since(begun), body)
					}
				}
				var fast int
				for range 100 {
					start := time.Now()
					if status, body := get(t, url+query); status != http.StatusServiceUnavailable {
						t.Errorf("%d %s", status, body)
					}
					if time.Since(start) < 50*time.Millisecond {
						fast++
					}
				}
				if fast < 90 {
					t.Errorf("%d of 100 answers came at once", fast)
				}
				if r := post(t, url, "user"); r.status != http.StatusAccepted {
					t.Errorf("publishing gives %d", r.status)
				}
				if status, body := get(t, url+"/health/ready"); status != http.StatusServiceUnavailable || !strings.Contains(body, "store: ") {
					t.Errorf("%d %s", status, body)
				}
				p.Start(t)
				awaitGet(t, url+query, http.StatusOK)
				awaitGet(t, url+"/health/ready", http.StatusOK)
			}
		})
	}
}

// TestStoreFlaps has the connections to PostgreSQL be lost all the time: hardly a query notices, as it is tried again.
func TestStoreFlaps(t *testing.T) {
	t.Parallel()
	cfg, p := behindProxy(t)
	url, _ := start(t, cfg)
	awaitGet(t, url+"/api/events?limit=10", http.StatusOK)
	var failed int
	for range 100 {
		p.Cut()
		if status, _ := get(t, url+"/api/events?limit=10"); status != http.StatusOK {
			failed++
		}
	}
	if failed > 5 {
		t.Errorf("%d of 100 queries failed", failed)
	}
	t.Logf("%d of 100 queries failed", failed)
}

func awaitGet(t *testing.T, url string, status int) {
	t.Helper()
	start := time.Now()
	for {
		got, body := get(t, url)
		if got == status {
			return
		}
		if time.Since(start) > patience {
			t.Fatalf("no %d after %v: %d %s", status, patience, got, body)
		}
	}
}
