package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFirstSteps(t *testing.T) {
	s := serve(t)
	s.awaitReady()
	status, header, body, err := s.request(t.Context(), http.MethodPost, "/api/events",
		`{"userId":"a/b ü 日本","eventType":"page_view","metadata":{"n":1.50,"big":123456789012345678901234567890}}`)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %v %s", status, err, body)
	}
	var answer struct{ Message, EventID string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Message != "Event published successfully" ||
		header.Get("Location") != "/api/events/"+answer.EventID {
		t.Errorf("%s %v", body, header)
	}
	eventually(t, "stored", func() bool { return s.list("/api/events/user/a%2Fb%20%C3%BC%20%E6%97%A5%E6%9C%AC").Count == 1 })
	got := s.list("/api/events").Events[0]
	if got.EventID != answer.EventID || string(got.Metadata) != `{"n":1.50,"big":123456789012345678901234567890}` {
		t.Errorf("%+v", got)
	}
	for _, message := range []string{"event published", "event consumed"} {
		lines := s.logged(message)
		if len(lines) != 1 || lines[0]["eventId"] != answer.EventID || lines[0]["topic"] != "user-activity-events" ||
			lines[0]["partition"] == nil || lines[0]["offset"] == nil || lines[0]["level"] != "DEBUG" {
			t.Errorf("%s: %v", message, lines)
		}
	}
	if code := s.end(terminate); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestVolatile checks that the service says so when nothing outlives it.
func TestVolatile(t *testing.T) {
	s := serve(t, "--broker", "memory:", "--store", "memory:")
	s.awaitReady()
	if len(s.logged("broker and store are in memory: nothing outlives this process")) != 1 {
		t.Error("no word that nothing outlives the process")
	}
}

// TestKilled is what a new user tries: post, kill -9, start again.
func TestKilled(t *testing.T) {
	folder := t.TempDir()
	s := serve(t, "--data-dir", folder)
	s.awaitReady()
	for n := range 20 {
		status, _, body, err := s.request(t.Context(), http.MethodPost, "/api/events", fmt.Sprintf(`{"userId":"u","eventType":"t","metadata":{"n":%d}}`, n))
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %v %s", status, err, body)
		}
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exit
	s = serve(t, "--data-dir", folder)
	s.awaitReady()
	eventually(t, "all stored", func() bool { return s.list("/api/events/user/u").Count == 20 })
	for n, e := range s.list("/api/events/user/u").Events {
		if string(e.Metadata) != fmt.Sprintf(`{"n":%d}`, n) {
			t.Errorf("number %d is %s", n, e.Metadata)
		}
	}
}

// TestFolderInUse starts a second process on a folder: it ends at once and names the folder.
func TestFolderInUse(t *testing.T) {
	folder := t.TempDir()
	serve(t, "--data-dir", folder)
	second := program(t, nil, "serve", "--listen", "127.0.0.1:0", "--data-dir", folder)
	out, err := second.CombinedOutput()
	if code := second.ProcessState.ExitCode(); code != 1 || err == nil || !strings.Contains(string(out), folder) {
		t.Errorf("exit status %d: %s", code, out)
	}
	if lines := strings.Count(strings.TrimSpace(string(out)), "\n"); lines > 0 {
		t.Errorf("%d lines more than one: %s", lines, out)
	}
}

// TestRebuildAndVerify fills a second store from the log of a service that has ended, and compares both.
func TestRebuildAndVerify(t *testing.T) {
	folder := t.TempDir()
	s := serve(t, "--data-dir", folder)
	s.awaitReady()
	for n := range 50 {
		if status, _, body, err := s.request(t.Context(), http.MethodPost, "/api/events", fmt.Sprintf(`{"userId":"u%d","eventType":"t"}`, n%7)); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %v %s", status, err, body)
		}
	}
	if code := s.end(terminate); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	tool := func(want int, args ...string) string {
		t.Helper()
		cmd := program(t, nil, append(args, "--data-dir", folder)...)
		out, _ := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%v: exit status %d, want %d: %s", args, code, want, out)
		}
		return string(out)
	}
	fresh := "sqlite:" + filepath.Join(folder, "fresh.db")
	first := tool(0, "rebuild", "--store", fresh)
	if !strings.Contains(first, "50 events stored") || !strings.Contains(first, "the store holds 50 events, checksum ") {
		t.Errorf("rebuild: %s", first)
	}
	if again := tool(0, "rebuild", "--store", fresh); !strings.Contains(again, "read 0 records") ||
		again[strings.Index(again, "the store"):] != first[strings.Index(first, "the store"):] {
		t.Errorf("rebuild of a store that is whole: %s", again)
	}
	for _, store := range []string{fresh, "sqlite:"} {
		if report := tool(0, "verify", "--store", store); !strings.Contains(report, "missing in the store: 0") {
			t.Errorf("verify %s: %s", store, report)
		}
	}
	empty := "sqlite:" + filepath.Join(folder, "empty.db")
	late := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if none := tool(0, "rebuild", "--store", empty, "--from", late); !strings.Contains(none, "the store holds 0 events") {
		t.Errorf("rebuild from a later time: %s", none)
	}
	tool(2, "rebuild", "--store", "memory:")
	tool(2, "rebuild", "--from", "yesterday")
	tool(2, "verify", "--broker", "memory:")
}

func TestSignalUnderLoadLosesNoAnswer(t *testing.T) {
	s := serve(t)
	var accepted, refused atomic.Int64
	var posting sync.WaitGroup
	for i := range 16 {
		posting.Go(func() {
			for n := 0; ; n++ {
				status, _, body, err := s.request(t.Context(), http.MethodPost, "/api/events", fmt.Sprintf(`{"userId":"u%d","eventType":"t"}`, i))
				switch {
				case err != nil: // the listener is closed, or the connection was idle
					return
				case status == http.StatusAccepted:
					accepted.Add(1)
				default:
					refused.Add(1)
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	eventually(t, "load", func() bool { return accepted.Load() > 1000 })
	code := s.end(terminate)
	posting.Wait()
	if code != 0 || refused.Load() != 0 {
		t.Errorf("exit status %d, %d refused of %d", code, refused.Load(), accepted.Load())
	}
	// The log and the store are gone with the process, but each has counted.
	var published, stored float64
	for _, line := range s.logged("events") {
		published += line["published"].(float64)
		stored += line["stored"].(float64)
	}
	if published < float64(accepted.Load()) || stored != published {
		t.Errorf("%d accepted, %v published, %v stored", accepted.Load(), published, stored)
	}
}

// TestSlowClientsDoNotKeepTheEnd has clients that never send all of a request, or never read an answer, at the time of the signal:
// the consumer ends at a clean place all the same, and nothing that was accepted is lost.
func TestSlowClientsDoNotKeepTheEnd(t *testing.T) {
	s := serve(t, "--shutdown-timeout", "9s")
	s.awaitReady()
	slow := func(request string) {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
	}
	slow("POST /api/events/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[")
	slow("GET /api/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	// More than the buffers between the two take.
	slow(strings.Repeat("GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n", 20))
	if status := s.post(`{"userId":"u","eventType":"t"}`); status != http.StatusAccepted {
		t.Fatal(status)
	}
	start := time.Now()
	code := s.end(terminate)
	ended := s.logged("ended")
	if took := time.Since(start); code != 0 || took > 9*time.Second || len(ended) != 1 || ended[0]["clean"] != true {
		t.Errorf("exit status %d after %v, %v", code, took, ended)
	}
	if stored := s.logged("event consumed"); len(stored) != 1 {
		t.Errorf("%v", stored)
	}
}

func TestTakenPortIsStatus1(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	status, _, stderr := output(t, nil, "serve", "--listen", l.Addr().String())
	if status != 1 || !strings.Contains(stderr, "address already in use") {
		t.Errorf("%d %s", status, stderr)
	}
}

func TestBadUsageIsStatus2AndOneLine(t *testing.T) {
	for _, c := range []struct {
		environ, args []string
		want          string
	}{
		{args: []string{"serve", "--partitions", "x"}, want: `--partitions "x" must be a whole number`},
		{args: []string{"serve", "--nope"}, want: "--nope is unknown"},
		{args: []string{"serve", "extra"}, want: "serve takes no argument"},
		{args: []string{"nope"}, want: `"nope"`},
		{args: []string{"serve", "--broker", "nats://x"}, want: `--broker "nats://x" must begin with one of`},
		{args: []string{"serve", "--store", "oracle:"}, want: `--store "oracle:" must begin with one of`},
		{args: []string{"serve"}, environ: []string{"NETSTREAMFLOW_NOPE=1"}, want: "NETSTREAMFLOW_NOPE is not a setting"},
		{args: []string{"serve"}, environ: []string{"NETSTREAMFLOW_BROKER=kafka://h:9092,"}, want: `NETSTREAMFLOW_BROKER "kafka://h:9092," must be a URL without an empty host`},
		{args: []string{"serve"}, environ: []string{"NETSTREAMFLOW_BROKER=kafka://h:0"}, want: `NETSTREAMFLOW_BROKER "kafka://h:0" has the address`},
		{args: []string{"serve"}, environ: []string{"NETSTREAMFLOW_BROKER_PASSWORD_FILE=/dev/null"}, want: `NETSTREAMFLOW_BROKER_PASSWORD_FILE "/dev/null" must name a readable file with a secret in it`},
		{args: []string{"serve"}, environ: []string{"NETSTREAMFLOW_BROKER_PASSWORD_FILE=/no/such"}, want: `NETSTREAMFLOW_BROKER_PASSWORD_FILE "/no/such" must name a readable file`},
		{args: []string{"serve", "--config", "/dev/null"}, environ: []string{"NETSTREAMFLOW_CONFIG=/no/such"}, want: `NETSTREAMFLOW_CONFIG "/no/such" must name a readable file`},
		{args: []string{"health"}, environ: []string{"NETSTREAMFLOW_NOPE=1"}, want: "NETSTREAMFLOW_NOPE is not a setting"},
		{args: []string{"health", "--nope"}, want: "--nope is unknown"},
	} {
		status, stdout, stderr := output(t, c.environ, c.args...)
		if status != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v %v: status %d, stdout %q, stderr %q", c.environ, c.args, status, stdout, stderr)
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	status, stdout, stderr := output(t, nil, "serve", "--help")
	if status != 0 || stderr != "" {
		t.Errorf("%d %s", status, stderr)
	}
	for _, want := range []string{"--broker URL", "kafka://", "--publish-timeout", "(default 10s)", "NETSTREAMFLOW_BROKER_PASSWORD_FILE"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("help lacks %q:\n%s", want, stdout)
		}
	}
	if status, stdout, _ = output(t, nil); status != 0 || !strings.Contains(stdout, "curl") {
		t.Errorf("%d %s", status, stdout)
	}
	if status, stdout, _ = output(t, nil, "version"); status != 0 || !strings.HasPrefix(stdout, "netstreamflow ") {
		t.Errorf("%d %s", status, stdout)
	}
}

func TestHealthCommand(t *testing.T) {
	s := serve(t)
	s.awaitReady()
	status, stdout, stderr := output(t, []string{"NETSTREAMFLOW_BROKER=memory:"}, "health", "--listen", s.addr)
	if status != 0 || !strings.Contains(stdout, "consumer") {
		t.Errorf("%d %s %s", status, stdout, stderr)
	}
	_, port, _ := net.SplitHostPort(s.addr)
	if status, _, stderr = output(t, []string{"NETSTREAMFLOW_LISTEN=0.0.0.0:" + port}, "health", "--live"); status != 0 {
		t.Errorf("%d %s", status, stderr)
	}
	s.end(terminate)
	if status, _, stderr = output(t, nil, "health", "--listen", s.addr); status != 1 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d %s", status, stderr)
	}
}
