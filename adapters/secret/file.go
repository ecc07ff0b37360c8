package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// maxFileBytes bounds what is read of a file.
const maxFileBytes = 64 << 10

// file is a secret that is the content of a file, without line ends at its end.
type file struct {
	path string
	// once is what was read from something that gives its content only once, such as a pipe; nil before.
	once *string
}

// OpenFile is the [Open] of file:PATH and file:///PATH. The path is taken as it is written.
func OpenFile(reference string) (Source, error) {
	path := after(reference)
	if strings.HasPrefix(path, "///") {
		path = path[len("//"):]
	}
	if path == "" || strings.HasPrefix(path, "//") {
		return nil, malformed("file", "file:PATH")
	}
	return &file{path: path}, nil
}

// Local implements [Local].
func (f *file) Local() bool { return true }

// Fetch implements [Source].
func (f *file) Fetch(ctx context.Context) (string, error) {
	if f.once != nil {
		return *f.once, nil
	}
	// Opening a pipe would wait for somebody who writes, for ever.
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fileError(err)
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	info, err := opened.Stat()
	if err != nil {
		return "", fileError(err)
	}
	content, err := io.ReadAll(io.LimitReader(opened, maxFileBytes+1))
	if info.Mode()&fs.ModeNamedPipe != 0 {
		content, err = awaitPipe(ctx, opened, content, err)
	}
	if err != nil {
		return "", fileError(err)
	}
	if len(content) > maxFileBytes {
		return "", fmt.Errorf("%w: the file has more than %d bytes", domain.ErrTooLarge, maxFileBytes)
	}
	found := strings.TrimRight(string(content), "\r\n")
	if !info.Mode().IsRegular() {
		f.once = &found
	}
	return found, nil
}

// pipeLook is how often it is looked whether somebody writes to a pipe.
const pipeLook = 10 * time.Millisecond

// awaitPipe reads on from a pipe to which nobody has written yet, until ctx ends.
func awaitPipe(ctx context.Context, pipe *os.File, content []byte, err error) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Now()) })
	defer stop()
	for len(content) == 0 && (err == nil || errors.Is(err, syscall.EAGAIN)) {
		select {
		case <-time.After(pipeLook):
		case <-ctx.Done():
			return nil, errors.New("nobody writes to the pipe")
		}
		content, err = io.ReadAll(io.LimitReader(pipe, maxFileBytes+1))
	}
	return content, err
}

// fileError tells what is wrong without the path, which may be a password that looks like a reference.
func fileError(err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: read the file: %w", domain.ErrNotFound, err)
	}
	return fmt.Errorf("%w: read the file: %w", domain.ErrUnavailable, err)
}
