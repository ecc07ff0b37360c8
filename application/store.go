package application

import (
	"context"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Entry is an event with the position of its record in the log.
type Entry struct {
	Event    domain.Event
	Position Position
}

// Recorder is the writing side of a store.
type Recorder interface {
	// Record keeps the entries, in order, all or none; an event whose id is already there, in the store or earlier in
	// entries, is passed over. It returns how many were new. When it returns without error, the entries are as durable as
	// the store is, and queries see them. It may be repeated after an error. Calls are serialised by the store.
	Record(ctx context.Context, entries []Entry) (added int, err error)
}

// Reader is the reading side of a store. It is safe for concurrent use, also with a [Recorder] at work, which it does not
// make wait.
type Reader interface {
	// Event returns the JSON of the event, or [domain.ErrNotFound].
	Event(ctx context.Context, id domain.UUID) ([]byte, error)
	// Query calls yield with the JSON of each event that q selects, in order, as of one moment after the call; yield must
	// not keep or change the bytes. An error of yield ends the query and is returned. next is the cursor behind the last
	// event yielded, "" when no more followed. A cursor that is not this store's is a [domain.ErrInvalid] at "/cursor", and
	// is found before the first yield.
	Query(ctx context.Context, q Query, yield func(event []byte) error) (next string, err error)
}

// Store keeps events and answers queries.
type Store interface {
	Recorder
	Reader

	// Volatile says that nothing outlives the process: the store is then filled from the log's start at every start.
	Volatile() bool
	// Ping returns nil when the store can work now.
	Ping(ctx context.Context) error
	// Close releases everything; no call may be under way or follow.
	Close() error
}

// Limits of a page.
const (
	MinLimit = 1
	MaxLimit = 10_000
)

// Query selects events. The zero value selects all, oldest first.
type Query struct {
	// UserID and EventType select by equality unless empty.
	UserID, EventType string
	// From (inclusive) and To (exclusive) select by timestamp unless zero.
	From, To time.Time
	// Descending reverses the order, which is that in which the events were stored.
	Descending bool
	// Limit is how many events at most, 0 for all.
	Limit int
	// Cursor, where an earlier query of the same direction ended, "" for the beginning. It is opaque.
	Cursor string
}
