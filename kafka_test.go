package netstreamflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/memory"
	"github.com/netstreamflow/netstreamflow/application"
)

// kept is a store that outlives the service, as a database does.
type kept struct{ application.Store }

func (kept) Volatile() bool { return false }
func (kept) Close() error   { return nil }

func keptDrivers(s application.Store) netstreamflow.Drivers {
	d := netstreamflow.BuiltIn()
	d.Stores["kept"] = func(context.Context, string, store.Options) (application.Store, error) { return kept{s}, nil }
	return d
}

// run starts a service on Kafka with the store, and returns its address and what ends it.
func run(t *testing.T, broker, topic string, s application.Store) (url string, end func()) {
	t.Helper()
	cfg := netstreamflow.DefaultConfig()
	cfg.Listen, cfg.Broker, cfg.Store, cfg.Topic, cfg.Group = "127.0.0.1:0", broker, "kept:", topic, topic
	cfg.LogOutput = t.Output()
	ctx, stop := context.WithCancel(t.Context())
	app, cleanup, err := netstreamflow.New(ctx, cfg, keptDrivers(s))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	return "http://" + app.Addr().String(), func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with: %v", err)
		}
		cleanup()
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func postBatch(t *testing.T, url string, first, n int) {
	t.Helper()
	var lines strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&lines, `{"userId":"u%d","eventType":"t","metadata":{"n":%d}}`+"\n", i%50, i)
	}
	res, err := http.Post(url+"/api/events/batch", "application/x-ndjson", strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %.500s", res.Status, body)
	}
}

func awaitCount(t *testing.T, url string, want int) {
	t.Helper()
	var got struct{ Count int }
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_, body := get(t, url+"/api/events")
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Count == want {
			return
		}
	}
	t.Fatalf("%d events, want %d", got.Count, want)
}

// TestGroupGoesOnWhereItStopped takes a backlog at the first start of a group, ends without lag, and meets nothing twice
// after a restart.
func TestGroupGoesOnWhereItStopped(t *testing.T) {
	addr := brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")
	for _, scheme := range kafkaDrivers {
		t.Run(scheme, func(t *testing.T) {
			topic := fmt.Sprintf("group-%s-%d", scheme, time.Now().UnixNano())
			s := &counting{Store: memory.New()}
			url, end := run(t, scheme+"://"+addr, topic, s)
			postBatch(t, url, 0, 2000)
			awaitCount(t, url, 2000)
			postBatch(t, url, 2000, 1000)
			end() // with a thousand events that may not have been consumed
			out, err := exec.CommandContext(t.Context(), "scripts/kafka", "consumer-groups", "--bootstrap-server", addr, "--describe", "--group", topic).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if lag, partitions := groupLag(string(out)); lag != 0 || partitions != 6 {
				t.Errorf("lag %d in %d partitions:\n%s", lag, partitions, out)
			}
			url, end = run(t, scheme+"://"+addr, topic, s)
			postBatch(t, url, 3000, 500)
			awaitCount(t, url, 3500)
			end()
			if s.entries != 3500 {
				t.Errorf("the store was given %d entries for 3500 events", s.entries)
			}
		})
	}
}

// counting counts what a store is given.
type counting struct {
	application.Store

	entries int
}

func (c *counting) Record(ctx context.Context, b application.Batch) (int, error) {
	c.entries += len(b.Entries)
	return c.Store.Record(ctx, b)
}

// groupLag sums the lag in the table of kafka-consumer-groups.
func groupLag(table string) (lag, partitions int) {
	column := -1
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		for i, f := range fields {
			if f == "LAG" {
				column = i
			}
		}
		var n int
		if column >= 0 && column < len(fields) {
			if _, err := fmt.Sscan(fields[column], &n); err == nil {
				lag += n
				partitions++
			}
		}
	}
	return lag, partitions
}
