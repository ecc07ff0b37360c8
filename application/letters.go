package application

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Letter is what is known of a dead letter beside its value and headers.
type Letter struct {
	// Position is that of the letter in the dead-letter topic. It makes the letter's id.
	Position

	// Time is when the record was given up.
	Time time.Time
	// Key is the record's, nil for none; of a long one only the beginning.
	Key []byte
	// Reason is why it was given up, "" for a record that somebody else has put among the dead letters. A long one is cut.
	Reason string
	// From is where the record stood, First where it did before it was requeued for the first time. Both are nowhere where that
	// is not known.
	From, First Place
	// Attempts is how often it was tried, Requeues how often it was requeued, both in all.
	Attempts, Requeues int
	// Consumer names the group that gave it up.
	Consumer string
	// Size is the number of bytes of the value.
	Size int
}

// ID names the letter: partition-offset.
func (l Letter) ID() string { return LetterID(l.Position) }

// LetterID is the id of the letter at the position of the dead-letter topic.
func LetterID(p Position) string {
	return strconv.Itoa(int(p.Partition)) + "-" + strconv.FormatInt(p.Offset, 10)
}

// ParseLetterID reads what [LetterID] has written, in that spelling alone. The error is a [domain.ErrNotFound]: no letter has
// another id.
func ParseLetterID(id string) (Position, error) {
	partition, offset, _ := strings.Cut(id, "-")
	p, ok := placeOf("-", partition, offset)
	if !ok || LetterID(p.Position) != id {
		return Position{}, fmt.Errorf("%w: no dead letter has this id: it is not partition-offset", domain.ErrNotFound)
	}
	return p.Position, nil
}

// LogRecord is a record as it is in the log.
type LogRecord struct {
	Origin

	// MessageID is the record's Watermill UUID, "" where the producer gave none.
	MessageID string
	Value     []byte
	// Headers has the last one of each name, Repeated those before it; those of one name are in the order of the record.
	Headers  map[string]string
	Repeated []Header
}

// Header is a header of a record. Its name and value may be any bytes.
type Header struct{ Name, Value string }

// WholeLetter is a letter with its record.
type WholeLetter struct {
	Letter

	Record LogRecord
	// Settled says that it was requeued or dropped.
	Settled bool
	// Incomplete says that the record was too large to be kept: its value is not here.
	Incomplete bool
}

// ErrIncomplete is why a letter cannot be requeued that lacks its value.
var ErrIncomplete = fmt.Errorf("%w: the record was too large for a dead letter, which lacks its value", domain.ErrTooLarge)

// Action is what can be done with a dead letter.
type Action string

// The actions. Either settles the letter.
const (
	Requeued Action = "requeued"
	Dropped  Action = "dropped"
)

// Limits of a page of letters, and of what one call may requeue.
const (
	DefaultLetters = 100
	MaxLetters     = 1000
)

// LetterQuery selects open letters. The zero value selects all.
type LetterQuery struct {
	// Reason is part of the reason, unless "".
	Reason string
	// From (inclusive) and To (exclusive) select by the letter's time unless zero.
	From, To time.Time
	// Limit is how many at most, 0 for [DefaultLetters].
	Limit int
	// Cursor, where an earlier query ended: the id of its last letter; "" for the beginning.
	Cursor string
}

// Matches says whether the query selects the letter, whatever its cursor.
func (q LetterQuery) Matches(l Letter) bool {
	return strings.Contains(l.Reason, q.Reason) &&
		(q.From.IsZero() || !l.Time.Before(q.From)) && (q.To.IsZero() || l.Time.Before(q.To))
}

// validate checks the query and fills in what was left out; the error is a [*domain.InvalidError].
func (q *LetterQuery) validate() error {
	if q.Limit == 0 {
		q.Limit = DefaultLetters
	}
	if q.Limit < 1 || q.Limit > MaxLetters {
		return domain.Invalid("/limit", fmt.Sprintf("must be a whole number from 1 to %d", MaxLetters))
	}
	if q.Cursor != "" {
		if _, err := ParseLetterID(q.Cursor); err != nil {
			return domain.Invalid("/cursor", "must be the nextCursor of an earlier answer")
		}
	}
	return nil
}

// LetterPage is a page of open letters.
type LetterPage struct {
	Letters []Letter
	// Next is the cursor behind the last of them, "" when no more follow.
	Next string
	// Left is how many of those that the query selects follow.
	Left int
	// Open is how many open letters there are, whatever the query; Unlisted is how many of them no query finds, as there are
	// too many to keep track of. They come up when others are settled.
	Open, Unlisted int64
}

// LetterBox is where the dead letters are. It is safe for concurrent use; its calls end with their contexts, with
// [domain.ErrUnavailable].
type LetterBox interface {
	// Find returns the open letters that q selects, in the order of their positions.
	Find(ctx context.Context, q LetterQuery) (LetterPage, error)
	// Letter returns what is known of an open letter without reading it.
	Letter(ctx context.Context, p Position) (l Letter, open bool, err error)
	// Read calls yield with each letter at the positions, in the order of each partition, until yield returns false. Where
	// there is no letter, nothing is yielded.
	Read(ctx context.Context, at []Position, yield func(WholeLetter) (more bool)) error
	// Requeue sends the records to their topic again, in order for each key, and returns when they are durable there. The
	// error is nil when all are; a [PublishError] tells them apart.
	Requeue(ctx context.Context, letters []WholeLetter) error
	// Settle notes, durably, what has been done with the letters, and who has done it. The error is as for Requeue.
	Settle(ctx context.Context, letters []Letter, done Action, by string) error
}
