package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clockJumps are how far the wall clock of a service is off, one after the other, each for jumpEvery. Kafka takes no
// records from more than an hour ahead.
var clockJumps = []time.Duration{0, 40 * time.Minute, -3 * time.Hour, 50 * time.Minute, -400 * 24 * time.Hour}

const jumpEvery = 2 * time.Second

// jumpingClock makes an overlay for the go command in which time.Now jumps, and returns its file. Nothing outside of a Go
// program can do that to it, short of setting the machine's clock: it asks the kernel, not the C library. What the service
// measures, timers and durations, goes by the monotonic clock, which does not jump, as when a machine's clock is set.
func jumpingClock(ctx context.Context, folder string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	jumping, err := withJumps(string(text))
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(folder, "time.go"), filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(changed, []byte(jumping), 0o600); err != nil {
		return "", err
	}
	table, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, table, 0o600)
}

// withJumps changes the source of package time.
func withJumps(source string) (string, error) {
	const now, jump = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n", "\tsec += faultJump(mono - startNano)\n"
	if strings.Count(source, now) != 1 {
		return "", errors.New("time.Now is not as it is known: withJumps must learn this version of Go")
	}
	var seconds []string
	for _, j := range clockJumps {
		seconds = append(seconds, fmt.Sprintf("%d", int64(j.Seconds())))
	}
	return strings.Replace(source, now, now+jump, 1) + fmt.Sprintf(`
func faultJump(elapsed int64) int64 {
	jumps := [...]int64{%s}
	return jumps[elapsed/%d%%int64(len(jumps))]
}
`, strings.Join(seconds, ", "), jumpEvery.Nanoseconds()), nil
}

// passJumps lets all jumps happen.
func passJumps(ctx context.Context, r *run) error {
	for range clockJumps {
		wait(ctx, jumpEvery)
		r.harms++
	}
	return nil
}

// checkJumps holds the timestamps that the service gave to the jumps: without any, nothing has been tried.
func checkJumps(ctx context.Context, r *run) error {
	s, err := r.pool.only()
	if err != nil {
		return err
	}
	kept, err := readAll(ctx, s.address())
	if err != nil {
		return err
	}
	for _, jump := range clockJumps {
		seen := false
		for _, k := range kept {
			own := r.sent[k.user][k.n].timestamp.IsZero()
			seen = seen || own && time.Since(k.timestamp.Add(-jump)).Abs() < 5*time.Minute
		}
		if !seen {
			r.fault("no event was stamped by a clock that was off by %s", jump)
		}
	}
	return nil
}
