package application

import (
	"context"
	"strconv"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Publish accepts events: it completes and checks drafts and makes them durable in the log.
type Publish struct {
	log     Log
	timeout time.Duration
	now     func() time.Time
}

// NewPublish returns the use case. No publication waits longer than timeout.
func NewPublish(log Log, timeout time.Duration) *Publish {
	return &Publish{log: log, timeout: timeout, now: time.Now}
}

// One publishes one event and returns it when it is durable, with how it is. key is the caller's idempotency key, "" for none: the same
// key, user and type give the same event id, unless the draft has one of its own.
func (p *Publish) One(ctx context.Context, draft domain.Draft, key string) (domain.Event, Receipt, error) {
	if key != "" && draft.ID == (domain.UUID{}) {
		draft.ID = domain.NamedUUID("idempotency", key, draft.UserID, draft.EventType)
	}
	event, err := draft.Event(p.now())
	if err != nil {
		return domain.Event{}, Receipt{}, err
	}
	receipt, err := p.publish(ctx, []domain.Event{event})
	return event, receipt, EachError(err, 1)(0)
}

// Result is the outcome for one draft of many.
type Result struct {
	ID  domain.UUID
	Err error
}

// Candidate is one draft of many, or the error of reading it.
type Candidate struct {
	Draft domain.Draft
	Err   error
}

// Many publishes those candidates that are valid, in order, and returns a result for each, and how those without an error are
// durable. key is as for One, together
// with the candidate's place.
func (p *Publish) Many(ctx context.Context, candidates []Candidate, key string) ([]Result, Receipt) {
	results := make([]Result, len(candidates))
	events := make([]domain.Event, 0, len(candidates))
	places := make([]int, 0, len(candidates))
	now := p.now()
	for i, c := range candidates {
		event, err := c.event(now, key, i)
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i].ID = event.ID()
		events = append(events, event)
		places = append(places, i)
	}
	if len(events) == 0 {
		return results, Receipt{}
	}
	receipt, err := p.publish(ctx, events)
	each := EachError(err, len(events))
	for i, place := range places {
		results[place].Err = each(i)
	}
	return results, receipt
}

func (c Candidate) event(now time.Time, key string, place int) (domain.Event, error) {
	if c.Err != nil {
		return domain.Event{}, c.Err
	}
	if d := &c.Draft; key != "" && d.ID == (domain.UUID{}) {
		d.ID = domain.NamedUUID("idempotency", key, d.UserID, d.EventType, strconv.Itoa(place))
	}
	return c.Draft.Event(now)
}

func (p *Publish) publish(ctx context.Context, events []domain.Event) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.log.Publish(ctx, events)
}
