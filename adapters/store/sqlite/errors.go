package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"github.com/netstreamflow/netstreamflow/domain"
)

// The primary result codes of https://sqlite.org/rescode.html that have an explanation of their own.
const (
	codeBusy     = 5
	codeNoMemory = 7
	codeReadOnly = 8
	codeDisk     = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// failure tells what happened without the text of statements: that the context is done, or that the file cannot be
// worked with now.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if done := ctx.Err(); done != nil {
		return done
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, domain.ErrNotFound) {
		return err
	}
	var own *sqlite.Error
	if !errors.As(err, &own) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %s (SQLite's code %d)", domain.ErrUnavailable, explain(own.Code()), own.Code())
}

func explain(code int) string {
	switch code & 0xff {
	case codeBusy:
		return "the file is locked by another program"
	case codeNoMemory:
		return "there is not enough memory"
	case codeReadOnly:
		return "the file cannot be written"
	case codeDisk:
		return "the disk fails"
	case codeCorrupt:
		return "the file is damaged"
	case codeFull:
		return "the disk is full"
	case codeCantOpen:
		return "the file cannot be opened"
	case codeNotADB:
		return "the file is not a database"
	}
	return "the file cannot be worked with"
}

func isFull(err error) bool {
	var own *sqlite.Error
	return errors.As(err, &own) && own.Code()&0xff == codeFull
}

// passing says that the connection is as good as before the error.
func passing(err error) bool {
	var own *sqlite.Error
	return !errors.As(err, &own) || own.Code()&0xff == codeFull || own.Code()&0xff == codeBusy
}
