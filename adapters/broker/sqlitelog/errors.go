package sqlitelog

import (
	"errors"
	"fmt"
	"slices"

	"modernc.org/sqlite"

	"github.com/netstreamflow/netstreamflow/domain"
)

var errClosed = fmt.Errorf("%w: the broker is closed", domain.ErrUnavailable)

// unavailable gives the error its kind: trying again later may help.
func unavailable(err error) error {
	if err == nil || errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: log file: %w", domain.ErrUnavailable, err)
}

// SQLite's primary result codes, https://sqlite.org/rescode.html.
const (
	codeCorrupt  = 11
	codeFull     = 13
	codeNotADB   = 26
	primaryCodes = 0xff
)

// hasCode tells whether the error is one of SQLite's with one of the primary result codes.
func hasCode(err error, codes ...int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code()&primaryCodes)
}

// opening says what is wrong with a file that cannot be opened.
func opening(path string, err error) error {
	if hasCode(err, codeCorrupt, codeNotADB) {
		return fmt.Errorf("the log %s is damaged, or is no log; restore it from a copy, or move it away to begin a new one: %w", path, err)
	}
	return fmt.Errorf("open the log %s: %w", path, err)
}
