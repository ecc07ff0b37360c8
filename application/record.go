package application

import (
	"context"
	"fmt"
	"strconv"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Record takes records of the log into the store.
type Record struct {
	store Recorder
}

// NewRecord returns the use case.
func NewRecord(store Recorder) *Record { return &Record{store: store} }

// Decode reads the event of a record. Other producers may leave out the event id and the timestamp: the id then follows
// from the place in the log that the record had at first, so that it is the same whenever the record is read, and however
// often it is requeued; and the timestamp is the record's. The error is a [domain.ErrInvalid].
func Decode(value []byte, origin Origin, headers map[string]string) (Entry, error) {
	draft, err := domain.DecodeDraft(value)
	if err != nil {
		return Entry{}, err
	}
	made := origin.Time
	if draft.ID == (domain.UUID{}) || draft.Timestamp.IsZero() {
		var place Place
		if place, made = first(origin, headers); draft.ID == (domain.UUID{}) {
			draft.ID = domain.NamedUUID("record", place.Topic,
				strconv.Itoa(int(place.Partition)), strconv.FormatInt(place.Offset, 10))
		}
	}
	event, err := draft.Event(made)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Event: event, Position: origin.Position, Accepted: origin.Time}, nil
}

// Batch records the batch, all or none, and returns how many of its events were new.
func (r *Record) Batch(ctx context.Context, b Batch) (added int, err error) {
	added, err = r.store.Record(ctx, b)
	if err != nil {
		return 0, fmt.Errorf("record %d events: %w", len(b.Entries), err)
	}
	return added, nil
}
