package domain

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// The kinds of failure that callers tell apart. Adapters wrap them with %w and say what they were doing; every driving
// port maps them in one place.
var (
	// ErrInvalid says that the input can never be accepted as it is: trying again does not help.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge says that the input is well-formed but over a limit: trying again does not help.
	ErrTooLarge = errors.New("too large")
	// ErrNotFound says that the thing asked for is not there (yet).
	ErrNotFound = errors.New("not found")
	// ErrUnavailable says that the broker or the store did not do its part in time: trying again later may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnauthenticated says that nothing tells who calls: neither a token nor a key was sent.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrBadCredentials says that the token or the key that was sent proves nothing: trying again with it does not help.
	ErrBadCredentials = errors.New("bad credentials")
	// ErrForbidden says that it is known who calls, and that this caller may not do it.
	ErrForbidden = errors.New("forbidden")
	// ErrOverloaded says that there is more to do than the service takes on, and that this was not begun: trying again later
	// may help.
	ErrOverloaded = errors.New("overloaded")
)

// Violation is one fault of an input.
type Violation struct {
	// Pointer is a JSON Pointer (RFC 6901) to the faulty value, "" for the whole input.
	Pointer string
	// Detail names the fault and what is allowed.
	Detail string
}

// InvalidError lists what is wrong with an input. It is an [ErrInvalid].
type InvalidError struct {
	// Malformed says that the input could not be read at all (it is not strict JSON), as opposed to well-formed input
	// that breaks a rule.
	Malformed bool
	// Syntax says that the input is not JSON by RFC 8259, so that a document around it is not JSON either. A duplicated
	// key, too deep nesting or bad UTF-8 is malformed without being a fault of syntax.
	Syntax     bool
	Violations []Violation
}

// Error lists the violations in one line.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("invalid")
	if e.Malformed {
		b.Reset()
		b.WriteString("malformed")
	}
	for i, v := range e.Violations {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		if v.Pointer != "" {
			b.WriteString(v.Pointer + " ")
		}
		b.WriteString(v.Detail)
	}
	return b.String()
}

// Is reports that every InvalidError is an [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Invalid is an [InvalidError] with one violation.
func Invalid(pointer, detail string) *InvalidError {
	return &InvalidError{Violations: []Violation{{Pointer: pointer, Detail: detail}}}
}

// asError keeps a nil pointer from becoming a non-nil error.
func asError(err *InvalidError) error {
	if err == nil {
		return nil
	}
	return err
}

// within returns the error as seen from the value that holds the faulty one under the member or index name.
func (e *InvalidError) within(name string) *InvalidError {
	for i := range e.Violations {
		e.Violations[i].Pointer = pointerTo(name) + e.Violations[i].Pointer
	}
	return e
}

// maxPointerName is how many bytes of a name a pointer shows: the sender chooses them, and they go to logs and answers.
const maxPointerName = 64

// pointerTo returns the JSON Pointer to a member, whose name is cut when it is long.
func pointerTo(name string) string {
	if len(name) > maxPointerName {
		end := maxPointerName
		for end > 0 && !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end] + "…"
	}
	return "/" + pointerEscaper.Replace(name)
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")
