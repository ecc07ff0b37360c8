// Package domain holds the user activity event and its rules. It knows nothing of HTTP, brokers or stores.
package domain

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of an event's fields, in bytes of UTF-8, and of the nesting of its JSON (the event itself is level 1).
const (
	MaxUserIDBytes    = 256
	MaxEventTypeBytes = 128
	MaxDepth          = 64
)

// Draft is an event as a caller gives it: what is missing is filled in by [Draft.Event]. The zero value of ID and
// Timestamp means missing; nil Metadata means {}.
type Draft struct {
	ID        UUID
	UserID    string
	EventType string
	Timestamp time.Time
	// Metadata is the text of a JSON object.
	Metadata []byte

	// checked is the Metadata that went through the decoder: a strict JSON object without insignificant space.
	checked []byte
	// dated says that Timestamp was given, even where it is the zero time (0001-01-01T00:00:00Z).
	dated bool
}

// Event is one thing that a user did. It is immutable, and safe for concurrent use.
type Event struct {
	id        UUID
	userID    string
	eventType string
	timestamp time.Time
	json      []byte
}

// Event checks the draft against the rules and returns the event, encoded once: [Event.JSON] is what goes to the log, to
// the store and to the answer. A missing timestamp is now; a missing id is a new UUIDv7. The error is an
// [*InvalidError] that lists every fault.
func (d Draft) Event(now time.Time) (Event, error) {
	if d.Timestamp.IsZero() && !d.dated {
		d.Timestamp = now
	}
	if err := d.check(); err != nil {
		return Event{}, err
	}
	if d.ID == (UUID{}) {
		d.ID = NewUUID(now)
	}
	e := Event{id: d.ID, userID: d.UserID, eventType: d.EventType, timestamp: d.Timestamp.UTC().Round(0)}
	e.json = e.encode(d.Metadata)
	return e, nil
}

// check holds the draft against the rules, and leaves no insignificant space in its metadata.
func (d *Draft) check() error {
	var err *InvalidError
	if !sameMemory(d.Metadata, d.checked) {
		d.Metadata, err = compactObject(d.Metadata)
	}
	if v := d.Violations(); len(v) > 0 {
		if err == nil {
			err = &InvalidError{}
		}
		err.Violations = append(v, err.Violations...)
	}
	return asError(err)
}

// sameMemory says whether a is b, and not only equal to it.
func sameMemory(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Violations lists what breaks a rule in the fields that the decoder does not check; nil when all hold.
func (d Draft) Violations() []Violation {
	var v []Violation
	if detail := checkText(d.UserID, MaxUserIDBytes); detail != "" {
		v = append(v, Violation{"/userId", detail})
	}
	if detail := checkText(d.EventType, MaxEventTypeBytes); detail != "" {
		v = append(v, Violation{"/eventType", detail})
	}
	if at := d.Timestamp.Unix(); at < firstSecond || at > lastSecond {
		v = append(v, Violation{"/timestamp", "must lie in the years 0000 to 9999 in UTC"})
	}
	return v
}

// The ends of the years that RFC 3339 can write.
var (
	firstSecond = time.Date(0, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// CheckUserID says whether s may be a userId; the error is an [*InvalidError] at the pointer.
func CheckUserID(s, pointer string) error { return checkAt(s, MaxUserIDBytes, pointer) }

// CheckEventType says whether s may be an eventType; the error is an [*InvalidError] at the pointer.
func CheckEventType(s, pointer string) error { return checkAt(s, MaxEventTypeBytes, pointer) }

func checkAt(s string, limit int, pointer string) error {
	if detail := checkText(s, limit); detail != "" {
		return Invalid(pointer, detail)
	}
	return nil
}

func checkText(s string, limit int) string {
	switch {
	case s == "":
		return fmt.Sprintf("is required: a string of 1 to %d bytes", limit)
	case len(s) > limit:
		return fmt.Sprintf("is %d bytes long: 1 to %d are allowed", len(s), limit)
	case isPrintable(s):
		return ""
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Sprintf("holds the control character %U: none are allowed", r)
		}
	}
	return ""
}

// isPrintable says whether s has no characters but those of ASCII that are seen.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// ID is the event's identity: the same id is stored once.
func (e Event) ID() UUID { return e.id }

// UserID names who acted; events of one user keep their order.
func (e Event) UserID() string { return e.userID }

// EventType names what happened.
func (e Event) EventType() string { return e.eventType }

// Timestamp is when it happened, in UTC, with up to nanoseconds.
func (e Event) Timestamp() time.Time { return e.timestamp }

// JSON is the event's one encoding, in one line. The caller must not change it.
func (e Event) JSON() []byte { return e.json }
