package application

import (
	"context"
	"fmt"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Find answers questions from the store.
type Find struct {
	store Reader
}

// NewFind returns the use case.
func NewFind(store Reader) *Find { return &Find{store: store} }

// Event returns the JSON of one event, or [domain.ErrNotFound] until it has been stored.
func (f *Find) Event(ctx context.Context, id domain.UUID) ([]byte, error) {
	return f.store.Event(ctx, id)
}

// Events is [Reader.Query] after a check of the query; the error of a bad one is a [domain.ErrInvalid].
func (f *Find) Events(ctx context.Context, q Query, yield func(event []byte) error) (next string, err error) {
	if err := q.Validate(); err != nil {
		return "", err
	}
	return f.store.Query(ctx, q, yield)
}

// Validate checks the query against the rules of events and pages; the error is a [*domain.InvalidError].
func (q Query) Validate() error {
	if q.UserID != "" {
		if err := domain.CheckUserID(q.UserID, "/userId"); err != nil {
			return err
		}
	}
	if q.EventType != "" {
		if err := domain.CheckEventType(q.EventType, "/eventType"); err != nil {
			return err
		}
	}
	if q.Limit != 0 && (q.Limit < MinLimit || q.Limit > MaxLimit) {
		return domain.Invalid("/limit", fmt.Sprintf("is %d: %d to %d are allowed", q.Limit, MinLimit, MaxLimit))
	}
	return nil
}
