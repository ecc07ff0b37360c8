package application

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

var noon = time.Date(2026, time.January, 31, 12, 0, 0, 0, time.UTC)

// fakeLog takes what it is given and answers as it is told.
type fakeLog struct {
	events  []domain.Event
	calls   int
	err     error
	spooled int
	ctx     context.Context
}

func (l *fakeLog) Publish(ctx context.Context, events []domain.Event) (Receipt, error) {
	l.events = append(l.events, events...)
	l.calls++
	l.ctx = ctx
	return Receipt{Spooled: l.spooled}, l.err
}

func resultsOf(results []Result, _ Receipt) []Result { return results }

// newPublish is one of many instances.
func newPublish(log Log) *Publish {
	p := NewPublish(log, time.Minute)
	p.now = func() time.Time { return noon }
	return p
}

func draft(user, eventType string) domain.Draft {
	return domain.Draft{UserID: user, EventType: eventType}
}

func TestPublishOne(t *testing.T) {
	log := &fakeLog{}
	event, _, err := newPublish(log).One(t.Context(), draft("u", "t"), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(log.events) != 1 || string(log.events[0].JSON()) != string(event.JSON()) {
		t.Errorf("the log has %v, and %v was returned", log.events, event)
	}
	if event.ID() == (domain.UUID{}) || event.Timestamp() != noon {
		t.Errorf("id %s and timestamp %s are not filled in", event.ID(), event.Timestamp())
	}
}

func TestPublishOneInvalid(t *testing.T) {
	log := &fakeLog{}
	if _, _, err := newPublish(log).One(t.Context(), draft("", "t"), "key"); !errors.Is(err, domain.ErrInvalid) || log.calls != 0 {
		t.Errorf("got %v after %d calls of the log", err, log.calls)
	}
}

func TestPublishOneFails(t *testing.T) {
	gone := fmt.Errorf("%w: gone", domain.ErrUnavailable)
	tests := map[string]struct{ err, want error }{
		"as a whole":           {gone, gone},
		"for the event":        {PublishError{gone}, gone},
		"wrapped":              {fmt.Errorf("publish: %w", PublishError{gone}), gone},
		"for no event":         {PublishError{nil}, nil},
		"for too large events": {PublishError{domain.ErrTooLarge}, domain.ErrTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			event, _, err := newPublish(&fakeLog{err: tt.err}).One(t.Context(), draft("u", "t"), "")
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if event.ID() == (domain.UUID{}) {
				t.Error("the event is not returned: nobody can send it again under its id")
			}
		})
	}
}

func TestIdempotencyKeyOfOne(t *testing.T) {
	id := func(d domain.Draft, key string) domain.UUID {
		event, _, err := newPublish(&fakeLog{}).One(t.Context(), d, key)
		if err != nil {
			t.Fatal(err)
		}
		return event.ID()
	}
	first := id(draft("u", "t"), "k")
	if again := id(draft("u", "t"), "k"); again != first {
		t.Errorf("%s on one instance, %s on another", first, again)
	}
	if want := "6e647114-f726-8e4d-94a1-99988bf1ecf1"; first.String() != want {
		t.Errorf("the id is %s, not %s as in every version", first, want)
	}
	seen := map[domain.UUID]string{first: "the first"}
	for name, other := range map[string]domain.UUID{
		"another key":       id(draft("u", "t"), "k2"),
		"another user":      id(draft("v", "t"), "k"),
		"another type":      id(draft("u", "s"), "k"),
		"moved border":      id(draft("ut", "t"), "k"),
		"moved key":         id(draft("u", "t"), "ku"),
		"no key":            id(draft("u", "t"), ""),
		"no key, once more": id(draft("u", "t"), ""),
	} {
		if twin, known := seen[other]; known {
			t.Errorf("%s has the id of %s", name, twin)
		}
		seen[other] = name
	}
	own := draft("u", "t")
	own.ID = domain.NamedUUID("own")
	if got := id(own, "k"); got != own.ID {
		t.Errorf("the draft's own id %s has become %s", own.ID, got)
	}
}

func candidates(users ...string) []Candidate {
	var all []Candidate
	for _, user := range users {
		all = append(all, Candidate{Draft: draft(user, "t")})
	}
	return all
}

func TestIdempotencyKeyOfMany(t *testing.T) {
	ids := func(key string, users ...string) []domain.UUID {
		var all []domain.UUID
		for i, r := range resultsOf(newPublish(&fakeLog{}).Many(t.Context(), candidates(users...), key)) {
			if r.Err != nil {
				t.Fatalf("candidate %d: %v", i, r.Err)
			}
			all = append(all, r.ID)
		}
		return all
	}
	first, again := ids("k", "u", "u", "v"), ids("k", "u", "u", "v", "w")
	for i := range first {
		if first[i] != again[i] {
			t.Errorf("place %d: %s on one instance, %s on another", i, first[i], again[i])
		}
	}
	if want := "919b5e1e-d49c-8a5d-b606-d7f9f8ea8473"; first[0].String() != want {
		t.Errorf("the id is %s, not %s as in every version", first[0], want)
	}
	if first[0] == first[1] {
		t.Error("two like events of one batch have one id")
	}
	if other := ids("k2", "u")[0]; other == first[0] {
		t.Error("another key has the same id")
	}
	if other := ids("", "u")[0]; other == first[0] {
		t.Error("no key has the same id")
	}
	own := candidates("u")
	own[0].Draft.ID = domain.NamedUUID("own")
	if r := resultsOf(newPublish(&fakeLog{}).Many(t.Context(), own, "k")); r[0].ID != own[0].Draft.ID {
		t.Errorf("the draft's own id has become %s", r[0].ID)
	}
}

// The error of reading an event does not move the places of those behind it, nor their ids.
func TestManyKeepsPlaces(t *testing.T) {
	unread := domain.Invalid("", "is not JSON")
	all := candidates("a", "", "b", "c", "d")
	all[3].Err = unread
	gone := fmt.Errorf("%w: gone", domain.ErrUnavailable)
	log := &fakeLog{err: fmt.Errorf("publish: %w", PublishError{nil, gone, nil})}

	results := resultsOf(newPublish(log).Many(t.Context(), all, "k"))

	var users strings.Builder
	for _, e := range log.events {
		users.WriteString(e.UserID())
	}
	if users.String() != "abd" || log.calls != 1 {
		t.Errorf("the log got %q in %d calls", users.String(), log.calls)
	}
	want := []error{nil, domain.ErrInvalid, gone, unread, nil}
	for i, r := range results {
		if want[i] == nil && r.Err != nil || !errors.Is(r.Err, want[i]) {
			t.Errorf("place %d: got %v, want %v", i, r.Err, want[i])
		}
		if published := i != 1 && i != 3; published != (r.ID != domain.UUID{}) {
			t.Errorf("place %d has the id %s", i, r.ID)
		}
	}
	if whole := resultsOf(newPublish(&fakeLog{}).Many(t.Context(), candidates("a", "x", "b", "x", "d"), "k")); whole[4].ID != results[4].ID {
		t.Errorf("the id of place 4 depends on the other events")
	}
}

func TestManyFailsAsAWhole(t *testing.T) {
	for _, err := range []error{domain.ErrUnavailable, PublishError{domain.ErrUnavailable}, PublishError{nil, nil, domain.ErrUnavailable}} {
		for i, r := range resultsOf(newPublish(&fakeLog{err: err}).Many(t.Context(), candidates("a", "b"), "")) {
			if !errors.Is(r.Err, domain.ErrUnavailable) {
				t.Errorf("%v: place %d has %v", err, i, r.Err)
			}
		}
	}
}

func TestManyWithNothingToPublish(t *testing.T) {
	log := &fakeLog{}
	p := newPublish(log)
	if r := resultsOf(p.Many(t.Context(), nil, "k")); len(r) != 0 {
		t.Errorf("got %v", r)
	}
	if r := resultsOf(p.Many(t.Context(), candidates("", ""), "k")); len(r) != 2 || r[0].Err == nil || r[1].Err == nil {
		t.Errorf("got %v", r)
	}
	if log.calls != 0 {
		t.Error("the log has been called")
	}
}

func TestPublishHasATimeout(t *testing.T) {
	log := &fakeLog{}
	before := time.Now()
	if _, _, err := NewPublish(log, time.Hour).One(t.Context(), draft("u", "t"), ""); err != nil {
		t.Fatal(err)
	}
	deadline, ok := log.ctx.Deadline()
	if !ok || deadline.Before(before.Add(time.Hour)) || deadline.After(time.Now().Add(time.Hour)) {
		t.Errorf("the deadline is %s, %t", deadline, ok)
	}
	if log.ctx.Err() == nil {
		t.Error("the context outlives the call")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	waits := NewPublish(waitingLog{}, time.Hour)
	if _, _, err := waits.One(ctx, draft("u", "t"), ""); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v when the caller gave up", err)
	}
	if r := resultsOf(NewPublish(waitingLog{}, time.Nanosecond).Many(t.Context(), candidates("u"), "")); !errors.Is(r[0].Err, domain.ErrUnavailable) {
		t.Errorf("got %v after the time-out", r[0].Err)
	}
}

// waitingLog is never durable.
type waitingLog struct{}

func (waitingLog) Publish(ctx context.Context, _ []domain.Event) (Receipt, error) {
	<-ctx.Done()
	return Receipt{}, fmt.Errorf("%w: %w", domain.ErrUnavailable, ctx.Err())
}

func TestPublishError(t *testing.T) {
	gone := fmt.Errorf("%w: gone", domain.ErrUnavailable)
	err := fmt.Errorf("publish: %w", PublishError{nil, gone, domain.Invalid("/a", "is bad"), nil})
	if got, want := err.Error(), "publish: unavailable: gone"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, domain.ErrInvalid) || errors.Is(err, domain.ErrTooLarge) {
		t.Error("its kinds are not those of its events")
	}
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) || invalid.Violations[0].Pointer != "/a" {
		t.Errorf("the error of an event is not found: %v", invalid)
	}
	for _, inner := range (PublishError{nil, gone, nil}).Unwrap() {
		if inner == nil {
			t.Error("a nil error is unwrapped, which package errors forbids")
		}
	}
	if got := (PublishError{nil}).Error(); got != "no error" {
		t.Errorf("got %q", got)
	}
}

func TestPublishTellsWhatWasSpooled(t *testing.T) {
	p := newPublish(&fakeLog{spooled: 1})
	if _, receipt, err := p.One(t.Context(), draft("u", "t"), ""); receipt.Spooled != 1 || err != nil {
		t.Errorf("got %+v, %v", receipt, err)
	}
	if _, receipt := p.Many(t.Context(), candidates("a", "b"), ""); receipt.Spooled != 1 {
		t.Errorf("got %+v", receipt)
	}
}
