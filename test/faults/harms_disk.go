package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// canMount tries whether this process may mount a file system.
func canMount() error {
	folder, err := os.MkdirTemp("", "faults-mount-")
	if err != nil {
		return err
	}
	defer os.Remove(folder) //nolint:errcheck // it is a temporary folder
	if err := mount(folder); err != nil {
		return err
	}
	return unmount(folder)
}

// smallDisk puts the data on a file system of its own.
func smallDisk(_ context.Context, r *run) error {
	if err := os.MkdirAll(r.dataDir, 0o700); err != nil {
		return err
	}
	if err := mount(r.dataDir); err != nil {
		return err
	}
	r.onCleanUp(func() error { return unmount(r.dataDir) })
	return nil
}

// fillDisk takes all the room that the service has left, for a while, which begins when the service has used up what it had
// set aside.
func fillDisk(ctx context.Context, r *run) error {
	ballast := filepath.Join(r.dataDir, "ballast")
	refused := r.answers.of("503")
	full, start := time.Time{}, time.Now()
	for (full.IsZero() || time.Since(full) < r.lasting) && time.Since(start) < recovery && ctx.Err() == nil {
		// The service frees a little now and then, which is taken too.
		if err := fill(ballast); err != nil {
			return err
		}
		if full.IsZero() && (!r.combination.embedded() || r.answers.of("503") > refused) {
			full = time.Now()
		}
		wait(ctx, 100*time.Millisecond)
	}
	if r.harms++; full.IsZero() {
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
