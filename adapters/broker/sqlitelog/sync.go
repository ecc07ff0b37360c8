package sqlitelog

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// walSuffix is that of the file which holds what is not in the database yet: SQLite's write-ahead log.
const walSuffix = "-wal"

const syncInterval = time.Second

// syncEach syncs the file "-wal" each second, until closing. Unlike those of the database, it may be opened and closed beside
// SQLite, which has no locks on it.
func (f *file) syncEach(closing <-chan struct{}, logger *slog.Logger) {
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := syncFile(f.path + walSuffix); err != nil {
				logger.Error("the log could not be synced; trying again", "error", err)
			}
		case <-closing:
			return
		}
	}
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // it is ours
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
