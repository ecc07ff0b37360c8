package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// smallDisk puts the data on a file system of its own, which only root can make.
func smallDisk(ctx context.Context, r *run) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can mount a small disk")
	}
	if err := os.MkdirAll(r.dataDir, 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "size=64m", "faults", r.dataDir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a small disk: %w\n%s", err, out)
	}
	r.onCleanUp(func() error {
		if err := syscall.Unmount(r.dataDir, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", r.dataDir, err)
		}
		return nil
	})
	return nil
}

// fillDisk takes all the room that the service has left, for a while.
func fillDisk(ctx context.Context, r *run) error {
	before := r.answers.of("503")
	ballast := filepath.Join(r.dataDir, "ballast")
	end := time.Now().Add(r.lasting)
	for time.Now().Before(end) && ctx.Err() == nil {
		// The service frees a little now and then, which is taken too.
		if err := fill(ballast); err != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
	r.harms++
	if r.combination.embedded() && r.answers.of("503") == before {
		r.fault("no request was answered 503 while the disk was full")
	}
	return os.Remove(ballast)
}

// fill appends to the file until there is no room.
func fill(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // what is in it does not matter
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16
		} else if err != nil {
			return err
		}
	}
	return nil
}
