package netstreamflow

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"github.com/netstreamflow/netstreamflow/domain"
)

// lockName is the file in a folder by whose lock a process owns the folder.
const lockName = "netstreamflow.lock"

// folders are those that this process has locked against others.
type folders struct {
	// cfg names the folder that is a setting of its own.
	cfg Config

	mu    sync.Mutex
	locks map[string]*flock.Flock
}

func provideFolders(cfg valid, logger *slog.Logger) (*folders, func()) {
	f := &folders{cfg: cfg.Config, locks: make(map[string]*flock.Flock)}
	return f, func() {
		if err := f.release(); err != nil {
			logger.Error("releasing the data folder failed", "error", err)
		}
	}
}

// claim makes the folder, if it is missing, and locks it. Claiming it again changes nothing.
func (f *folders) claim(folder string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		fault := "must be a folder that can be made: " + reason(err)
		if isSamePath(folder, f.cfg.DataDir) {
			return f.cfg.setting("data-dir").fault(fault)
		}
		return domain.Invalid("", "must be in "+strings.TrimPrefix(fault, "must be "))
	}
	// Two names of one folder are one folder.
	path, err := filepath.EvalSymlinks(folder)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	if f.locks[path] != nil {
		return nil
	}
	lock := flock.New(filepath.Join(path, lockName), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock the folder %s: %w", folder, err)
	}
	if !locked {
		return fmt.Errorf("the folder %s is in use by another process", folder)
	}
	f.locks[path] = lock
	return nil
}

func isSamePath(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errors.Join(errA, errB) == nil && a == b
}

func (f *folders) release() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, 0, len(f.locks))
	for _, lock := range f.locks {
		errs = append(errs, lock.Close())
	}
	clear(f.locks)
	return errors.Join(errs...)
}
