// Package application holds the use cases, one a file, and the interfaces they need: what a broker and a store must do is
// said here, by the one who needs it.
package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Log is the ordered, durable log that accepted events go to.
type Log interface {
	// Publish returns when every event is durable in the log, or in a spool as the receipt tells, or has failed. It keeps the
	// order of events of one user, inside the call and from a call to a later one. The error is nil when all are durable; a
	// [PublishError] tells the events apart; any other error stands for all of them. An event that failed with
	// [domain.ErrUnavailable] may be in the log all the same; publishing it again with the same id is safe. It ends when ctx
	// does, with [domain.ErrUnavailable] for the events that are not known to be durable, and is safe for concurrent use.
	Publish(ctx context.Context, events []domain.Event) (Receipt, error)
}

// Receipt tells how events are durable that have no error.
type Receipt struct {
	// Spooled is how many wait on this instance for the broker.
	Spooled int
}

// PublishError is the outcome of a publication that did not succeed as a whole: one error for each event, nil where the
// event is durable.
type PublishError []error

// Error returns the first error.
func (e PublishError) Error() string {
	for _, err := range e {
		if err != nil {
			return err.Error()
		}
	}
	return "no error"
}

// Unwrap returns the errors of those events that have one.
func (e PublishError) Unwrap() []error {
	failed := make([]error, 0, len(e))
	for _, err := range e {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// OrNil returns e as an error, nil where it holds none.
func (e PublishError) OrNil() error {
	for _, err := range e {
		if err != nil {
			return e
		}
	}
	return nil
}

// EachError tells the error of the i-th of n events from the error of their publication.
func EachError(err error, n int) func(i int) error {
	var each PublishError
	if errors.As(err, &each) && len(each) == n {
		return func(i int) error { return each[i] }
	}
	return func(int) error { return err }
}

// Position is where a record stands in the log: offsets order the records of one partition and start anywhere.
type Position struct {
	Partition int32
	Offset    int64
}

// Origin is what a broker knows of a record beside its value and headers.
type Origin struct {
	Position

	Topic string
	Key   []byte
	// Time is when the broker or the producer says that the record was made.
	Time time.Time
}

type originKey struct{}

// WithOrigin returns a context that carries the origin: subscribers put it on each message they deliver, publishers on
// each message once it is in the log.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom returns the origin that ctx carries, if any.
func OriginFrom(ctx context.Context) (Origin, bool) {
	o, ok := ctx.Value(originKey{}).(Origin)
	return o, ok
}

// ErrNotSent is why an event is certainly not in the log: the broker is away, and nobody has tried to send it.
var ErrNotSent = fmt.Errorf("%w: the broker is away, and publishing is refused until it has been tried again", domain.ErrUnavailable)

// DeadLetter is a record that can never be processed, with all that is needed to see why and to send it again.
type DeadLetter struct {
	Origin

	// MessageID is the record's Watermill UUID, "" where the producer gave none.
	MessageID string
	Value     []byte
	// Headers are the metadata of the record's message, all of them.
	Headers map[string]string
	// Reason is the error that makes it impossible.
	Reason error
	// Attempts is how often it was tried.
	Attempts int
	// Consumer names the consumer group that gave it up.
	Consumer string
}

// DeadLetters keeps records that can never be processed.
type DeadLetters interface {
	// Keep returns when the dead letter is durable. It may be called again with the same one.
	Keep(ctx context.Context, d DeadLetter) error
}

// Bounds are the ends of a partition: the offset of its first record, and the one that its next record will get.
type Bounds struct{ First, Next int64 }
