package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
)

// kafkaAddress is that of a real Kafka, which CI always gives.
func kafkaAddress(t *testing.T) string {
	t.Helper()
	return brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")
}

// tool runs scripts/kafka, by which Kafka's own programs are called.
func tool(t *testing.T, environ []string, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/kafka", args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("scripts/kafka %v: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

// consume returns the records of a topic as Kafka's console consumer shows them, until none has come for a while.
func consume(t *testing.T, addr, topic string, most int, properties ...string) []string {
	t.Helper()
	args := []string{"console-consumer", "--bootstrap-server", addr, "--topic", topic, "--from-beginning", "--timeout-ms", "8000"}
	if most > 0 {
		args = append(args, "--max-messages", strconv.Itoa(most))
	}
	for _, p := range properties {
		args = append(args, "--property", p)
	}
	cmd := exec.CommandContext(t.Context(), "../../scripts/kafka", args...)
	out, err := cmd.Output() // the status is that of the time-out
	if err != nil && most > 0 {
		t.Fatalf("console consumer: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func topicName(t *testing.T) string {
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == '_' {
			return '-'
		}
		return r
	}, t.Name())
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

// eachDriver runs the test for each Kafka driver.
func eachDriver(t *testing.T, test func(t *testing.T, scheme string)) {
	for _, scheme := range kafkaDrivers {
		t.Run(scheme, func(t *testing.T) { test(t, scheme) })
	}
}

func TestKafkaRecordsForOtherClients(t *testing.T) {
	addr := kafkaAddress(t)
	eachDriver(t, func(t *testing.T, scheme string) {
		topic := topicName(t)
		s := serve(t, "--broker", scheme+"://"+addr, "--store", "memory:", "--topic", topic)
		s.awaitReady()
		const event = `{"eventId":"0190a0a0-0000-7000-8000-00000000000%d","userId":"user %d ü","eventType":"page_view","timestamp":"2026-01-31T12:00:00Z","metadata":{"n":1.50}}`
		want := map[string]bool{}
		for i := range 3 {
			value := fmt.Sprintf(event, i, i)
			if status := s.post(value); status != http.StatusAccepted {
				t.Fatalf("status %d", status)
			}
			want[fmt.Sprintf("_watermill_message_uuid:0190a0a0-0000-7000-8000-00000000000%d,content-type:application/json|user %d ü|%s", i, i, value)] = true
		}
		for _, line := range consume(t, addr, topic, 3, "print.key=true", "print.headers=true", "key.separator=|", "headers.separator=,") {
			line = strings.Replace(line, "application/json\t", "application/json|", 1)
			if !want[line] {
				t.Errorf("unexpected record %q", line)
			}
			delete(want, line)
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
		if code := s.end(terminate); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
}

func TestKafkaRecordsOfOtherClients(t *testing.T) {
	addr := kafkaAddress(t)
	eachDriver(t, func(t *testing.T, scheme string) {
		topic := topicName(t)
		args := []string{"--broker", scheme + "://" + addr, "--store", "memory:", "--topic", topic, "--group", topic}
		first, second := serve(t, args...), serve(t, args...)
		first.awaitReady()
		second.awaitReady()
		const good, garbage = 5, 4
		tool(t, nil, `u1	{"userId":"u1","eventType":"t","metadata":{"n":1}}
u1	{"userId":"u1","eventType":"t","metadata":{"n":2}}
u2	not JSON
u1	{"userId":"u1","eventType":"t","metadata":{"n":3}}
u3	{"userId":"u3"}
u3	{"userId":"u3","eventType":"t","unknown":1}
u4	{"userId":"u4","eventType":"t"} {}
u5	{"userId":"u5","eventType":"t","eventId":"0190a0a0-0000-7000-8000-000000000001","timestamp":"2026-01-31T12:00:00Z"}
u5	{"userId":"u5","eventType":"t","eventId":"0190a0a0-0000-7000-8000-000000000001"}
u6	{"userId":"u6","eventType":"t"}
`, "console-producer", "--bootstrap-server", addr, "--topic", topic, "--property", "parse.key=true")
		for _, s := range []*service{first, second} {
			eventually(t, "all good events in each instance", func() bool { return s.list("/api/events").Count == good })
			if got := s.list("/api/events/user/u1").Events; len(got) != 3 || string(got[0].Metadata)+string(got[1].Metadata)+string(got[2].Metadata) != `{"n":1}{"n":2}{"n":3}` {
				t.Errorf("order of one user: %+v", got)
			}
		}
		ids := fmt.Sprint(first.list("/api/events/user/u1"))
		if other := fmt.Sprint(second.list("/api/events/user/u1")); other != ids {
			t.Errorf("ids of records without one differ between instances:\n%s\n%s", ids, other)
		}
		eventually(t, "dead letters", func() bool { return len(first.logged("dead letter"))+len(second.logged("dead letter")) == garbage })
		first.end(terminate)
		second.end(terminate)
		third := serve(t, args...) // meets the garbage again, but it is in the dead letters by now
		third.awaitReady()
		if got := third.list("/api/events").Count; got != good {
			t.Errorf("%d of %d events after a restart", got, good)
		}
		letters := consume(t, addr, topic+".dlq", 0, "print.headers=true", "print.key=true")
		if len(letters) != garbage {
			t.Errorf("%d dead letters for %d records:\n%s", len(letters), garbage, strings.Join(letters, "\n"))
		}
		for _, l := range letters {
			for _, want := range []string{"dead-letter-reason:", "dead-letter-topic:" + topic, "dead-letter-partition:", "dead-letter-offset:", "dead-letter-attempts:1"} {
				if !strings.Contains(l, want) {
					t.Errorf("%q lacks %q", l, want)
				}
			}
		}
	})
}

// TestKafkaKilledUnderLoad kills a broker of its own with SIGKILL while events are posted, and starts it again.
func TestKafkaKilledUnderLoad(t *testing.T) {
	kafkaAddress(t)
	for _, scheme := range kafkaDrivers {
		t.Run(scheme, func(t *testing.T) {
			port := freePorts(t)
			environ := []string{"KAFKA_HOME=" + t.TempDir(), "KAFKA_PORT=" + strconv.Itoa(port), "KAFKA_SASL=", "KAFKA_TLS="}
			tool(t, environ, "", "start")
			t.Cleanup(func() {
				cmd := exec.Command("../../scripts/kafka", "kill")
				cmd.Env = append(os.Environ(), environ...)
				_ = cmd.Run()
			})
			s := serve(t, "--broker", fmt.Sprintf("%s://127.0.0.1:%d", scheme, port), "--publish-timeout", "2s")
			s.awaitReady()
			load := newLoad(s, 16)
			eventually(t, "events before", func() bool { return load.count(http.StatusAccepted) > 500 })
			tool(t, environ, "", "kill")
			eventually(t, "503 while Kafka is away", func() bool { return load.count(http.StatusServiceUnavailable) > 10 })
			if status, _, body, _ := s.request(t.Context(), http.MethodGet, "/health/ready", ""); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "broker") {
				t.Errorf("ready: %d %s", status, body)
			}
			tool(t, environ, "", "start")
			before := load.count(http.StatusAccepted)
			back := time.Now()
			eventually(t, "events after", func() bool { return load.count(http.StatusAccepted) > before+500 })
			recovery := time.Since(back)
			accepted, statuses := load.stop()
			s.awaitReady()
			for status := range statuses {
				if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
					t.Errorf("%d answers of status %d", statuses[status], status)
				}
			}
			verify(t, s, accepted)
			t.Logf("statuses %v, %d accepted and stored, 500 events taken %s after Kafka was back", statuses, len(accepted), recovery.Round(time.Millisecond))
		})
	}
}

// freePorts returns the first of two neighbouring ports that are free, outside the range from which connections are given
// theirs.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		first, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		_ = first.Close()
		if err == nil {
			_ = second.Close()
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

// load posts events from several users and remembers every answer.
type load struct {
	s    *service
	done chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	statuses map[int]int
	accepted map[string]string // by id, the place among the user's
}

func newLoad(s *service, users int) *load {
	l := &load{s: s, done: make(chan struct{}), statuses: map[int]int{}, accepted: map[string]string{}}
	for i := range users {
		l.wg.Go(func() { l.post(i) })
	}
	return l
}

func (l *load) post(user int) {
	for n := 0; ; n++ {
		select {
		case <-l.done:
			return
		default:
		}
		status, _, body, err := l.s.request(l.s.t.Context(), http.MethodPost, "/api/events",
			fmt.Sprintf(`{"userId":"u%d","eventType":"t","metadata":{"n":%d}}`, user, n))
		var answer struct{ EventID string }
		if err == nil && status == http.StatusAccepted {
			err = json.Unmarshal(body, &answer)
		}
		l.mu.Lock()
		if err != nil {
			status = 0
		}
		l.statuses[status]++
		if status == http.StatusAccepted {
			l.accepted[answer.EventID] = fmt.Sprintf(`u%d {"n":%d}`, user, n)
		}
		l.mu.Unlock()
	}
}

func (l *load) count(status int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.statuses[status]
}

func (l *load) stop() (accepted map[string]string, statuses map[int]int) {
	close(l.done)
	l.wg.Wait()
	return l.accepted, l.statuses
}

// verify checks that every accepted event is stored once, as it was, and each user's in order.
func verify(t *testing.T, s *service, accepted map[string]string) {
	t.Helper()
	var stored list
	eventually(t, "every accepted event stored", func() bool {
		stored = s.list("/api/events")
		found := 0
		for _, e := range stored.Events {
			if _, ok := accepted[e.EventID]; ok {
				found++
			}
		}
		return found == len(accepted)
	})
	last := map[string]int{}
	for _, e := range stored.Events {
		if want, ok := accepted[e.EventID]; ok && want != e.UserID+" "+string(e.Metadata) {
			t.Errorf("event %s is %s %s, was accepted as %s", e.EventID, e.UserID, e.Metadata, want)
		}
		var m struct{ N int }
		if err := json.Unmarshal(e.Metadata, &m); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[e.UserID]; ok && m.N <= before {
			t.Errorf("%s: %d is stored after %d", e.UserID, m.N, before)
		}
		last[e.UserID] = m.N
	}
}
