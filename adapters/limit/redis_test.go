package limit

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/adapters/proxytest"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openRedis(t *testing.T, address string) *Redis {
	t.Helper()
	r, err := OpenRedis(address, nil, circuit.DefaultPolicy(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// limiter has callers of its own on the server.
func (r *Redis) limiter(q application.Quota) *Shared { return r.Limiter("test-"+rand.Text(), q) }

func TestRedis(t *testing.T) {
	r := openRedis(t, brokertest.FromEnvironment(t, "NSF_TEST_REDIS"))
	contract(t, func(q application.Quota) application.Limiter { return r.limiter(q) })
}

// TestRedisIsShared has two instances share one budget.
func TestRedisIsShared(t *testing.T) {
	address := brokertest.FromEnvironment(t, "NSF_TEST_REDIS")
	name, q := "test-"+rand.Text(), application.Quota{Units: 10, Window: 10 * time.Hour}
	one, other := openRedis(t, address).Limiter(name, q), openRedis(t, address).Limiter(name, q)
	for left := 9; left >= 0; left-- {
		one, other = other, one
		if g := take(t, one, "a", 1, 0); !g.Allowed || g.Remaining != left {
			t.Errorf("with %d left: %+v", left, g)
		}
	}
	if take(t, one, "a", 1, 0).Allowed || take(t, other, "a", 1, 0).Allowed {
		t.Error("more than there is")
	}
}

// TestRedisRefills waits for as long as the grants say.
func TestRedisRefills(t *testing.T) {
	l := openRedis(t, brokertest.FromEnvironment(t, "NSF_TEST_REDIS")).limiter(application.Quota{Units: 5, Window: time.Second})
	take(t, l, "a", 5, 0)
	start := time.Now()
	for taken := 0; taken < 5; {
		g := take(t, l, "a", 1, 0)
		if g.Allowed {
			taken++
		} else if g.Wait <= 0 || g.Wait > 200*time.Millisecond {
			t.Fatalf("%+v", g)
		} else {
			<-time.After(g.Wait)
		}
	}
	if took := time.Since(start); took < 990*time.Millisecond {
		t.Errorf("all came back in %v", took)
	}
}

// TestRedisForgets looks at what is kept: the keys go when nothing is owed any more, and tell nothing of the callers.
func TestRedisForgets(t *testing.T) {
	r := openRedis(t, brokertest.FromEnvironment(t, "NSF_TEST_REDIS"))
	l := r.limiter(application.Quota{Units: 1000, Window: 1000 * time.Second})
	take(t, l, "somebody@example.org", 10, 0)
	keys, err := r.client.Keys(t.Context(), l.prefix+"*").Result()
	if err != nil || len(keys) != 1 || strings.Contains(keys[0], "somebody") {
		t.Fatalf("the keys are %q, %v", keys, err)
	}
	if left := r.client.PTTL(t.Context(), keys[0]).Val(); left <= 9*time.Second || left > 11*time.Second {
		t.Errorf("the key is kept for %v", left)
	}
}

// TestRedisLosesTheScript has a server that has been replaced.
func TestRedisLosesTheScript(t *testing.T) {
	r := openRedis(t, brokertest.FromEnvironment(t, "NSF_TEST_REDIS"))
	l := r.limiter(application.Quota{Units: 2, Window: 10 * time.Hour})
	take(t, l, "a", 1, 0)
	if err := r.client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if g := take(t, l, "a", 1, 0); !g.Allowed || g.Remaining != 0 {
		t.Errorf("%+v", g)
	}
}

// TestRedisGoesAndComesBack cuts the server off, has it hang, and lets it come back.
func TestRedisGoesAndComesBack(t *testing.T) {
	u, err := url.Parse(brokertest.FromEnvironment(t, "NSF_TEST_REDIS"))
	if err != nil {
		t.Fatal(err)
	}
	p := proxytest.New(t, u.Host)
	u.Host = p.Address
	r := openRedis(t, u.String())
	l := r.limiter(application.Quota{Units: 1_000_000, Window: time.Second})
	for _, goAway := range []func(){p.Stop, p.Stall, p.Stop} {
		awaitTake(t, l)
		goAway()
		awaitOpen(t, r, l)
		since := time.Now()
		for range 1000 {
			if _, err := l.Take(t.Context(), "a", 1, 0); !errors.Is(err, domain.ErrUnavailable) {
				t.Fatalf("while it is away: %v", err)
			}
		}
		if took := time.Since(since); took > time.Second {
			t.Errorf("1000 questions to a server that is away took %v", took)
		}
		p.Start(t)
	}
	awaitTake(t, l)
	if s := r.State(); s.Open || !s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestRedisHangs needs no Redis: nobody waits for long for one that takes connections and says nothing.
func TestRedisHangs(t *testing.T) {
	p := proxytest.New(t, "127.0.0.1:1")
	p.Stall()
	r := openRedis(t, "redis://"+p.Address)
	l := r.limiter(application.Quota{Units: 1, Window: time.Second})
	var running sync.WaitGroup
	start := time.Now()
	for range 50 {
		running.Go(func() {
			for range 10 {
				if _, err := l.Take(t.Context(), "a", 1, 0); !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	running.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("500 questions took %v", took)
	}
	if !r.State().Open {
		t.Error("the breaker is not open")
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"redis://h:6379", "redis://h", "redis://h:6379/2", "rediss://user@h:6380/0", "redis://[::1]:6379"} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "h:6379", "http://h", "redis:", "redis://", "redis://u:s3cret@h", "redis://h/x", "redis://h:x", "redis://h?db=s3cret", "redis://h/1/2", "redis://%zz",
	} {
		err := CheckURL(bad)
		if !errors.Is(err, domain.ErrInvalid) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestRedisRefusesTheUser shows the operator why, and no secret.
func TestRedisRefusesTheUser(t *testing.T) {
	address := brokertest.FromEnvironment(t, "NSF_TEST_REDIS")
	r, err := OpenRedis(strings.Replace(address, "://", "://nobody@", 1), func() string { return "s3cret" }, circuit.DefaultPolicy(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.limiter(application.Quota{Units: 1, Window: time.Second}).Take(t.Context(), "a", 1, 0)
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

func awaitTake(t *testing.T, l *Shared) {
	t.Helper()
	await(t, func() bool { _, err := l.Take(t.Context(), "a", 1, 0); return err == nil })
}

func awaitOpen(t *testing.T, r *Redis, l *Shared) {
	t.Helper()
	await(t, func() bool {
		start := time.Now()
		if _, err := l.Take(t.Context(), "a", 1, 0); err != nil && time.Since(start) > 3*patience {
			t.Errorf("an answer took %v", time.Since(start))
		}
		return r.State().Open
	})
}

// await waits until the condition holds, for a while.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that in time")
		}
		time.Sleep(time.Millisecond)
	}
}
