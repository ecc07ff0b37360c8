package application

import (
	"context"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Entry is an event with the position of its record in the log.
type Entry struct {
	Event    domain.Event
	Position Position
	// Accepted is when the log took the record, by which retention goes.
	Accepted time.Time
}

// Batch is what a store records in one transaction.
type Batch struct {
	// Topic is the one whose records the batch covers.
	Topic   string
	Entries []Entry
	// Taken is how far the topic has been taken with this batch: for each partition that it covers, the offset behind its
	// last record, whether that one had an event or not.
	Taken map[int32]int64
}

// Recorder is the writing side of a store.
type Recorder interface {
	// Record keeps the batch, in order, all or none; an event whose id is already there, in the store or earlier in the
	// batch, is passed over. It returns how many were new. When it returns without error, entries and positions are as durable
	// as the store is, and queries see them. It may be repeated after an error. Calls are serialised by the store.
	Record(ctx context.Context, b Batch) (added int, err error)
	// Positions returns what was last recorded as taken of the topic, empty for a topic that the store knows nothing of. It is
	// safe for concurrent use.
	Positions(ctx context.Context, topic string) (map[int32]int64, error)
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

// ErrRebuilding is why a view in memory answers no queries yet: it lacks events that the log has.
var ErrRebuilding = fmt.Errorf("%w: the view is being rebuilt from the log", domain.ErrUnavailable)

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

// Expirer is a store that can drop old events.
type Expirer interface {
	// Expire removes events from the oldest on, in the order in which they were stored, up to the first one that was accepted
	// at before or later, and returns how many. It works in short transactions, which hold up neither readers nor, for long,
	// the writer, and is safe for concurrent use; after an error some may have been removed. The id of a removed event is
	// forgotten.
	Expire(ctx context.Context, before time.Time) (removed int, err error)
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
