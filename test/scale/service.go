package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

const startTimeout = 2 * time.Minute

// service is a running instance.
type service struct {
	cmd *exec.Cmd
	url string
	// ready is how long it took from the start of the process to a 200 of /health/ready.
	ready time.Duration
}

var listening = regexp.MustCompile(`"msg":"listening".*"addr":"([^"]+)"`)

// start starts the program and waits until it is ready.
func (o options) start(ctx context.Context, args ...string) (*service, error) {
	begun := time.Now()
	s := &service{cmd: exec.CommandContext(ctx, o.program, append([]string{"serve", "--listen", "127.0.0.1:0", "--log-format", "json"}, args...)...)}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		if m := listening.FindSubmatch(lines.Bytes()); m != nil {
			s.url = "http://" + string(m[1])
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if s.url == "" {
		return nil, errors.Join(errors.New("the service did not come up"), s.cmd.Wait())
	}
	err = poll(ctx, func() (bool, error) {
		res, err := http.Get(s.url + "/health/ready")
		if err != nil {
			return false, err
		}
		return res.StatusCode == http.StatusOK, res.Body.Close()
	})
	s.ready = time.Since(begun)
	if err != nil {
		err = errors.Join(err, s.stop())
	}
	return s, err
}

func (s *service) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// memory returns the resident memory of the process and its peak, in MiB.
func (s *service) memory() (now, peak int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	field := func(name string) int {
		m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n / 1024
	}
	return field("VmRSS"), field("VmHWM"), nil
}

// page returns an answer of the list and how long it took.
func (s *service) page(ctx context.Context, query string) (count int, next string, took time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/events?"+query, nil)
	if err != nil {
		return 0, "", 0, err
	}
	begun := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read only
	body, err := io.ReadAll(res.Body)
	took = time.Since(begun)
	if err != nil {
		return 0, "", 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, "", 0, fmt.Errorf("%s: %s: %s", query, res.Status, body)
	}
	var answer struct {
		Count      int    `json:"count"`
		NextCursor string `json:"nextCursor"`
	}
	err = json.Unmarshal(body, &answer)
	return answer.Count, answer.NextCursor, took, err
}

// stream reads all events and counts them.
func (s *service) stream(ctx context.Context) (lines int, took time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/events", nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Accept", "application/x-ndjson")
	begun := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read only
	buf := make([]byte, 1<<20)
	for {
		n, err := res.Body.Read(buf)
		lines += bytes.Count(buf[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return lines, time.Since(begun), nil
		}
		if err != nil {
			return lines, time.Since(begun), err
		}
	}
}

// has says whether the event can be read.
func (s *service) has(id string) (bool, error) {
	res, err := http.Get(s.url + "/api/events/" + id)
	if err != nil {
		return false, err
	}
	return res.StatusCode == http.StatusOK, res.Body.Close()
}

// poll asks until done, and gives up after the start time-out.
func poll(ctx context.Context, done func() (bool, error)) error {
	return pollFor(ctx, startTimeout, done)
}

func pollFor(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
