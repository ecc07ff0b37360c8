package sqlitelog

import (
	"errors"
	"io"
	"os"
)

const (
	// pageBytes is SQLite's default.
	pageBytes = 4096
	// roomBytes is how large the file "-wal" gets before it is used again from its beginning.
	roomBytes = walHeaderBytes + walPages*(frameHeaderBytes+pageBytes)
)

// preallocate fills the file "-wal" up with zeros. To sync what overwrites a block takes a third of the time of what makes the
// file larger, and the file would else grow with each of the first thousands of commits. SQLite takes zeros for the end. It must
// be called while nobody writes.
func preallocate(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // it is ours
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if size := info.Size(); size < roomBytes {
		if err = fill(f, size); err != nil { // the room that there is, is for records
			err = errors.Join(err, f.Truncate(size))
		}
	}
	return errors.Join(err, f.Close())
}

// fill writes zeros from the offset on, and has them on disk.
func fill(f *os.File, offset int64) error {
	zeros := make([]byte, 1<<20)
	out := io.NewOffsetWriter(f, offset)
	for left := roomBytes - offset; left > 0; {
		n, err := out.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return f.Sync()
}
