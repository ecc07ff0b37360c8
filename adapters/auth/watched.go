package auth

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often files are looked at, at most.
	lookEvery = time.Second
	// maxFileBytes bounds a file.
	maxFileBytes = 8 << 20
)

// watched is what was read from files, read again when one of them has changed. A state that cannot be read is logged once,
// and the last good one stays. It is safe for concurrent use.
type watched[T any] struct {
	what   string
	files  []string
	read   func(contents [][]byte) (T, error)
	every  time.Duration
	logger *slog.Logger

	current atomic.Pointer[T]
	// looked is when the files were looked at last, since the start of this.
	looked atomic.Int64
	start  time.Time

	// fault is why the files cannot be read again, nil where they can.
	fault atomic.Pointer[error]

	// mu is for who looks at the files; nobody waits for it.
	mu     sync.Mutex
	stamps []fs.FileInfo
}

// watch reads the files for the first time. what names them in the log.
func watch[T any](what string, files []string, logger *slog.Logger, read func([][]byte) (T, error)) (*watched[T], error) {
	w := &watched[T]{what: what, files: files, read: read, every: lookEvery, logger: logger, start: time.Now()}
	var err error
	// The stamps are older than what is read, so that a change in between is found later.
	if w.stamps, err = w.look(); err != nil {
		return nil, err
	}
	first, err := w.load()
	w.current.Store(&first)
	return w, err
}

// get returns the current state, after a look at the files where it is time for one and nobody else is at it.
func (w *watched[T]) get() T {
	now := int64(time.Since(w.start))
	if now-w.looked.Load() >= int64(w.every) && w.mu.TryLock() {
		defer w.mu.Unlock()
		w.looked.Store(now)
		w.refresh()
	}
	return *w.current.Load()
}

// err tells why the current state is not that of the files, nil where it is.
func (w *watched[T]) err() error {
	if fault := w.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

func (w *watched[T]) refresh() {
	stamps, err := w.look()
	if err == nil && slices.EqualFunc(stamps, w.stamps, sameState) {
		return
	}
	// It is not read again before the next change, whether it can be used or not. Files that are gone may come back as they were.
	w.stamps = stamps
	var next T
	if err == nil {
		next, err = w.load()
	}
	if err == nil {
		w.current.Store(&next)
		w.fault.Store(nil)
		w.logger.Info(w.what + " were read again")
		return
	}
	if last := w.fault.Swap(&err); last == nil || (*last).Error() != err.Error() {
		w.logger.Error(w.what+" cannot be read again: the last good state stays in use", "error", err)
	}
}

// sameState says whether a file is as it was, as far as can be told without reading it.
func sameState(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (w *watched[T]) look() ([]fs.FileInfo, error) {
	stamps := make([]fs.FileInfo, len(w.files))
	for i, file := range w.files {
		var err error
		if stamps[i], err = os.Stat(file); err != nil {
			return nil, err
		}
	}
	return stamps, nil
}

func (w *watched[T]) load() (T, error) {
	contents := make([][]byte, len(w.files))
	for i, file := range w.files {
		var err error
		if contents[i], err = readFile(file); err != nil {
			var none T
			return none, err
		}
	}
	return w.read(contents)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("%s is over %d bytes", file, maxFileBytes)
	}
	return content, err
}
