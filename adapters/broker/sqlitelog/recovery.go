package sqlitelog

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
)

// reportRecovery says what a process that did not end in order has left in the file "-wal". SQLite recovers it: the committed
// transactions are taken over, and what follows the last of them is cut off. It must be called before SQLite opens the log.
func reportRecovery(path string, logger *slog.Logger) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		logger.Warn("what the last process left cannot be looked at", "file", path, "error", err)
		return
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return
	}
	found, err := scanWAL(f, info.Size())
	if err != nil {
		logger.Warn("what the last process left cannot be looked at", "file", path, "error", err)
		return
	}
	logger.Info("the last process did not end in order: its log is recovered",
		"file", path, "transactions", found.transactions, "bytes", found.committed)
	if found.torn > 0 {
		logger.Warn("a torn tail was cut off: it was never acknowledged", "file", path, "bytes", found.torn)
	}
}
