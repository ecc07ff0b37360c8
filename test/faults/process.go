package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one run of the service, from its start to its end.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	addr string
	// listening is closed when addr is known, exited when the process is no more.
	listening, exited chan struct{}

	mu sync.Mutex
	// killed and asked are when it was ended by force, and asked to end.
	killed, asked time.Time
}

// launch starts the binary; its log is appended to the file.
func launch(ctx context.Context, binary, logFile string, environ []string, args ...string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{log: log, listening: make(chan struct{}), exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), binary, args...)
	p.cmd.Env = environ
	endWithUs(p.cmd)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), log.Close())
	}
	_, _ = fmt.Fprintf(log, "{\"msg\":\"process %d starts\"}\n", p.cmd.Process.Pid)
	go p.follow(stderr)
	return p, nil
}

// follow keeps the log, and learns the address from it, until the process ends.
func (p *process) follow(stderr io.Reader) {
	text := bufio.NewReader(io.TeeReader(stderr, p.log))
	known := false
	for {
		line, err := text.ReadBytes('\n')
		var said struct{ Msg, Addr string }
		if !known && json.Unmarshal(line, &said) == nil && said.Msg == "listening" {
			p.addr, known = said.Addr, true
			close(p.listening)
		}
		if err != nil {
			break
		}
	}
	_ = p.cmd.Wait() // its outcome is in ProcessState
	_, _ = fmt.Fprintf(p.log, "{\"msg\":\"process %d has ended: %s\"}\n", p.cmd.Process.Pid, p.cmd.ProcessState)
	_ = p.log.Close()
	close(p.exited)
}

// address is where it listens, once listening is closed.
func (p *process) address() string { return p.addr }

// live says that it can be sent requests: it listens, and nobody has ended it.
func (p *process) live() bool {
	select {
	case <-p.exited:
		return false
	case <-p.listening:
		return !p.ended()
	default:
		return false
	}
}

func (p *process) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.killed.IsZero() || !p.asked.IsZero()
}

// awaitListening waits until requests can be sent.
func (p *process) awaitListening(ctx context.Context) error {
	select {
	case <-p.listening:
		return nil
	case <-p.exited:
		return fmt.Errorf("the service ended while it started: %s", p.cmd.ProcessState)
	case <-ctx.Done():
		return fmt.Errorf("the service does not listen: %w", ctx.Err())
	}
}

// kill ends it with SIGKILL and waits for its end.
func (p *process) kill() {
	p.mu.Lock()
	p.killed = time.Now()
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // it fails only when the process has ended
	<-p.exited
}

// terminate asks it to end and waits: the error says that it did not end as it must within the time.
func (p *process) terminate(timeout time.Duration) error {
	p.mu.Lock()
	p.asked = time.Now()
	p.mu.Unlock()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("SIGTERM: %w", err)
	}
	select {
	case <-p.exited:
	case <-time.After(timeout):
		p.kill()
		return fmt.Errorf("the service did not end within %s of SIGTERM", timeout)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the service ended with status %d after SIGTERM", code)
	}
	return nil
}

// awaitEnding waits until it has been asked to end.
func (p *process) awaitEnding(ctx context.Context) {
	for !p.ended() && ctx.Err() == nil {
		wait(ctx, time.Millisecond)
	}
}

// crashed says how the process ended, if nobody ended it.
func (p *process) crashed() (string, bool) {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.String(), !p.ended()
	default:
		return "", false
	}
}

// visit is one request to a process.
type visit struct {
	process *process
	start   time.Time
}

func (p *process) visit() visit { return visit{p, time.Now()} }

// inFlight is how long a request is on its way to the service, at most: one that is sent this long before SIGTERM must be
// answered. One sent later may meet a connection that is being closed, as every client of keep-alive connections may.
const inFlight = 200 * time.Millisecond

// mayFail says that the request may have found the process ended. A crash is reported by itself.
func (v visit) mayFail() bool {
	v.process.mu.Lock()
	killed, asked := v.process.killed, v.process.asked
	v.process.mu.Unlock()
	if _, crashed := v.process.crashed(); crashed || !killed.IsZero() {
		return true
	}
	return !asked.IsZero() && v.start.After(asked.Add(-inFlight))
}
