package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runMain makes a copy of the test binary be the program.
const runMain = "NSF_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is the command netstreamflow with the arguments, in an environment without settings but those given.
func program(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NETSTREAMFLOW_") }),
		append(environ, runMain+"=1", "GOCOVERDIR="+os.TempDir())...)
	return cmd
}

// service is a running `netstreamflow serve`.
type service struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	exit chan struct{}

	mu  sync.Mutex
	log []map[string]any
}

// serve starts the program on a free port and returns when it listens.
func serve(t *testing.T, args ...string) *service {
	t.Helper()
	s := &service{t: t, exit: make(chan struct{})}
	s.cmd = program(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--log-level", "debug", "--data-dir", t.TempDir()}, args...)...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	go s.read(stderr, listening)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exit
		if t.Failed() {
			s.dump()
		}
	})
	select {
	case s.addr = <-listening:
	case <-s.exit:
		t.Fatalf("the service ended: %v", s.cmd.ProcessState)
	case <-time.After(time.Minute):
		t.Fatal("the service does not listen")
	}
	return s
}

func (s *service) read(stderr io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			line["text"] = lines.Text()
		}
		s.mu.Lock()
		s.log = append(s.log, line)
		s.mu.Unlock()
		if line["msg"] == "listening" {
			listening <- fmt.Sprint(line["addr"])
		}
	}
	_ = s.cmd.Wait()
	close(s.exit)
}

// dump logs what is not debug.
func (s *service) dump() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if line["level"] != "DEBUG" {
			s.t.Log(line)
		}
	}
}

// logged returns the lines with the message.
func (s *service) logged(message string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []map[string]any
	for _, line := range s.log {
		if line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

func (s *service) request(ctx context.Context, method, path string, body string, headers ...string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, got, err
}

// post sends an event and returns the status.
func (s *service) post(body string) int {
	s.t.Helper()
	status, _, _, err := s.request(s.t.Context(), http.MethodPost, "/api/events", body)
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

type list struct {
	Count  int
	Events []struct {
		EventID, UserID, EventType string
		Metadata                   json.RawMessage
	}
}

func (s *service) list(path string) list {
	s.t.Helper()
	status, _, body, err := s.request(s.t.Context(), http.MethodGet, path, "")
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %v %s", path, status, err, body)
	}
	var l list
	if err := json.Unmarshal(body, &l); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// eventually asks until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (s *service) awaitReady() {
	s.t.Helper()
	eventually(s.t, "ready", func() bool {
		status, _, _, err := s.request(s.t.Context(), http.MethodGet, "/health/ready", "")
		return err == nil && status == http.StatusOK
	})
}

// end sends the signal and returns the exit status.
func (s *service) end(sig os.Signal) int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.exit:
	case <-time.After(time.Minute):
		s.t.Fatal("the service does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// output runs the program to its end.
func output(t *testing.T, environ []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := program(t, environ, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

var terminate = syscall.SIGTERM
