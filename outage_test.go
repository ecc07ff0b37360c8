package netstreamflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// kafkaOnOff is a Kafka in this process that can go away and come back with what it has.
type kafkaOnOff struct {
	*testing.T

	options []kfake.Opt
	cluster *kfake.Cluster
}

func newKafkaOnOff(t *testing.T) (k *kafkaOnOff, address string) {
	t.Helper()
	first, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	address = first.ListenAddrs()[0]
	first.Close()
	_, text, _ := strings.Cut(address, ":")
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	k = &kafkaOnOff{T: t, options: []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(t.TempDir()), kfake.SyncWrites(),
	}}
	t.Cleanup(k.off)
	return k, address
}

func (k *kafkaOnOff) on() {
	k.Helper()
	cluster, err := kfake.NewCluster(k.options...)
	if err != nil {
		k.Fatal(err)
	}
	k.cluster = cluster
}

func (k *kafkaOnOff) off() {
	if k.cluster != nil {
		k.cluster.Close()
		k.cluster = nil
	}
}

// start starts a service, which is ended with the test.
func start(t *testing.T, cfg netstreamflow.Config) (url string, end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	app, cleanup, err := netstreamflow.New(ctx, cfg, netstreamflow.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with: %v", err)
		}
		cleanup()
	})
	t.Cleanup(end)
	return "http://" + app.Addr().String(), end
}

// reply is what came of a post, and how long it took.
type reply struct {
	status int
	header http.Header
	took   time.Duration
}

// post publishes an event of the user.
func post(t *testing.T, url, user string) reply {
	t.Helper()
	start := time.Now()
	res, err := http.Post(url+"/api/events", "application/json", strings.NewReader(`{"userId":"`+user+`","eventType":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return reply{res.StatusCode, res.Header, time.Since(start)}
}

// awaitPost publishes until the status is the wanted one, and returns how long that took.
func awaitPost(t *testing.T, url, user string, status int) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) < patience {
		if post(t, url, user).status == status {
			return time.Since(start)
		}
	}
	t.Fatalf("no %d after %v", status, patience)
	return 0
}

// TestBrokerAway has the broker go and come back: the first requests are answered within the publish time-out, the next ones
// at once, and after it is back they succeed by themselves.
func TestBrokerAway(t *testing.T) {
	for _, scheme := range kafkaDrivers {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			k, address := newKafkaOnOff(t)
			k.on()
			cfg := netstreamflow.DefaultConfig()
			cfg.Store = "memory:"
			cfg.Listen, cfg.Broker, cfg.LogOutput, cfg.PublishTimeout = "127.0.0.1:0", scheme+"://"+address, t.Output(), 4*time.Second
			url, _ := start(t, cfg)
			awaitPost(t, url, "user", http.StatusAccepted)
			k.off()
			begun := time.Now()
			for body := ""; !strings.Contains(body, "publishing is refused"); _, body = get(t, url+"/health/ready") {
				if took := post(t, url, "user").took; took > cfg.PublishTimeout+time.Second || time.Since(begun) > patience {
					t.Fatalf("an answer took %v after %v: %s", took, time.Since(begun), body)
				}
			}
			var fast int
			for range 100 {
				r := post(t, url, "user")
				if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" {
					t.Errorf("%d, Retry-After %q", r.status, r.header.Get("Retry-After"))
				}
				if r.took > cfg.PublishTimeout/2 {
					t.Errorf("an answer took %v", r.took)
				}
				if r.took < 100*time.Millisecond {
					fast++
				}
			}
			if fast < 90 {
				t.Errorf("%d of 100 answers came at once", fast)
			}
			if status, body := get(t, url+"/health/ready"); status != http.StatusServiceUnavailable || !strings.Contains(body, "broker: ") {
				t.Errorf("%d %s", status, body)
			}
			k.on()
			if took := awaitPost(t, url, "user", http.StatusAccepted); took > 5*time.Second {
				t.Errorf("the broker is back, and publishing %v later", took)
			} else {
				t.Logf("publishing goes on after %v", took)
			}
		})
	}
}

// TestBrokerHangsAndFlaps has a broker that answers everything but what is published, and then one that ends the connections of
// every other publication: all requests are answered in time, queries work, and when the broker is well again so is publishing.
func TestBrokerHangsAndFlaps(t *testing.T) {
	for _, scheme := range kafkaDrivers {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			k, address := newKafkaOnOff(t)
			k.on()
			var hangs, flaps atomic.Bool
			var produced atomic.Int64
			k.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				k.cluster.KeepControl()
				if flaps.Load() && produced.Add(1)%2 == 0 {
					return nil, errors.New("the connection ends"), true
				}
				return nil, nil, hangs.Load()
			})
			cfg := netstreamflow.DefaultConfig()
			cfg.Store = "memory:"
			cfg.Listen, cfg.Broker, cfg.LogOutput, cfg.PublishTimeout = "127.0.0.1:0", scheme+"://"+address, t.Output(), 2*time.Second
			url, _ := start(t, cfg)
			awaitPost(t, url, "user", http.StatusAccepted)

			hangs.Store(true)
			begun := time.Now()
			for body := ""; !strings.Contains(body, "refused"); _, body = get(t, url+"/health/ready") {
				if took := post(t, url, "user").took; took > cfg.PublishTimeout+time.Second || time.Since(begun) > patience {
					t.Fatalf("an answer took %v after %v: %s", took, time.Since(begun), body)
				}
			}
			var fast int
			for range 100 {
				if r := post(t, url, "user"); r.status != http.StatusServiceUnavailable {
					t.Errorf("%d while it hangs", r.status)
				} else if r.took < 100*time.Millisecond {
					fast++
				}
			}
			if fast < 90 {
				t.Errorf("%d of 100 answers came at once", fast)
			}
			if status, _ := get(t, url+"/api/events?limit=10"); status != http.StatusOK {
				t.Errorf("a query gives %d", status)
			}
			hangs.Store(false)
			if took := awaitPost(t, url, "user", http.StatusAccepted); took > 10*time.Second {
				t.Errorf("the broker answers again, and publishing goes on %v later", took)
			}

			flaps.Store(true)
			var accepted int
			for range 20 {
				r := post(t, url, "user")
				if r.took > cfg.PublishTimeout+time.Second || r.status != http.StatusAccepted && r.status != http.StatusServiceUnavailable {
					t.Errorf("%d after %v while it flaps", r.status, r.took)
				}
				if r.status == http.StatusAccepted {
					accepted++
				}
			}
			t.Logf("%d of 20 were accepted while it flapped", accepted)
			if accepted == 0 {
				t.Error("nothing was accepted while it flapped")
			}
			flaps.Store(false)
			if took := awaitPost(t, url, "user", http.StatusAccepted); took > 10*time.Second {
				t.Errorf("the broker is well, and publishing goes on %v later", took)
			}
		})
	}
}

// TestSpool has the broker away, the service stopped and started meanwhile, and the broker back: all comes into the store, in
// order for each user.
func TestSpool(t *testing.T) {
	for _, scheme := range kafkaDrivers {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			k, address := newKafkaOnOff(t)
			k.on()
			cfg := netstreamflow.DefaultConfig()
			cfg.Listen, cfg.Broker, cfg.Store, cfg.LogOutput, cfg.PublishTimeout = "127.0.0.1:0", scheme+"://"+address, "memory:", t.Output(), 4*time.Second
			cfg.DataDir, cfg.Spool = t.TempDir(), true
			url, end := start(t, cfg)
			want := map[string][]string{}
			publish := func(n int, durability string) {
				t.Helper()
				for i := range n {
					user := fmt.Sprint("user", i%5)
					r := post(t, url, user)
					if r.status != http.StatusAccepted || r.took > cfg.PublishTimeout {
						t.Fatalf("%d after %v", r.status, r.took)
					}
					if got := r.header.Get("Netstreamflow-Durability"); durability != "" && got != durability {
						t.Errorf("durability %q, want %q", got, durability)
					}
					want[user] = append(want[user], strings.TrimPrefix(r.header.Get("Location"), "/api/events/"))
				}
			}
			publish(20, "")
			k.off()
			publish(40, "spooled")
			if status, body := get(t, url+"/health/ready"); status != http.StatusServiceUnavailable || !strings.Contains(body, "40 events (") {
				t.Errorf("%d %s", status, body)
			}
			end()
			url, _ = start(t, cfg)
			publish(20, "spooled")
			k.on()
			publish(20, "")
			awaitCount(t, url, 100)
			for user, ids := range want {
				if got := idsOf(t, url, user); !slices.Equal(got, ids) {
					t.Errorf("%s has %v, want %v", user, got, ids)
				}
			}
			awaitReady(t, url)
			if _, body := get(t, url+"/health/ready"); !strings.Contains(body, `"spool":{"status":"up","detail":"nothing waits`) {
				t.Errorf("%s", body)
			}
		})
	}
}

func idsOf(t *testing.T, url, user string) (ids []string) {
	t.Helper()
	var list struct{ Events []struct{ EventID string } }
	_, body := get(t, url+"/api/events/user/"+user)
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Events {
		ids = append(ids, e.EventID)
	}
	return ids
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		status, body := get(t, url+"/health/ready")
		if status == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s", status, body)
		}
	}
}
