package sqlite

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	defaultName = "events.db"
	fileMode    = 0o600
	folderMode  = 0o700
)

// locate returns the absolute path of the file that the URL names, in a folder that is this process's own.
func locate(rest string, o store.Options) (path string, err error) {
	if strings.Contains(rest, "?") || strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, ":") || strings.HasSuffix(rest, "/") || strings.ContainsRune(rest, 0) {
		return "", domain.Invalid("", "must be sqlite: or sqlite:PATH, the path of a file, without parameters")
	}
	if rest == "" {
		rest = filepath.Join(o.DataDir, defaultName)
	}
	if path, err = filepath.Abs(rest); err != nil {
		return "", fmt.Errorf("find the store's file: %w", err)
	}
	claim := o.Claim
	if claim == nil {
		claim = func(folder string) error { return os.MkdirAll(folder, folderMode) }
	}
	if err := claim(filepath.Dir(path)); err != nil {
		return "", fmt.Errorf("the store's folder: %w", err)
	}
	return path, create(path)
}

// create makes the file, if it is missing, so that nobody else can read it. The files beside it get the same mode.
func create(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return domain.Invalid("", fmt.Sprintf("names %s, which is not a file", path))
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode) //nolint:gosec // the path is a setting
	if err != nil {
		return fmt.Errorf("open the store's file: %w", err)
	}
	return file.Close()
}

// What a connection is told at its beginning. A cache is in KiB when negative, and grows to that only with use: the
// writer's has room for the page of each of ten thousands of users to which the next event goes, a reader's for the inner
// pages of ten million events. The log is taken over into the file rarely, when many of its pages were written more than
// once. The file is not mapped into memory: an error of the disk would then be the end of the process.
const (
	busyMillis    = 5000
	writerCache   = -128 << 10
	readerCache   = -16 << 10
	pageBytes     = 4096
	logPages      = 64 << 20 / pageBytes
	logLimitBytes = 96 << 20
)

func writerDSN(path string) string {
	return dsn(path, "rw", "foreign_keys(0)",
		"journal_mode(wal)", "synchronous(full)",
		fmt.Sprintf("cache_size(%d)", writerCache),
		fmt.Sprintf("wal_autocheckpoint(%d)", logPages),
		fmt.Sprintf("journal_size_limit(%d)", logLimitBytes))
}

func readerDSN(path string) string {
	return dsn(path, "ro", "query_only(1)", fmt.Sprintf("cache_size(%d)", readerCache))
}

func dsn(path, mode string, pragmas ...string) string {
	values := url.Values{"mode": {mode}}
	values.Set("_busy_timeout", strconv.Itoa(busyMillis))
	values["_pragma"] = append(pragmas, "temp_store(memory)", "mmap_size(0)", "trusted_schema(0)")
	return (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String()
}
