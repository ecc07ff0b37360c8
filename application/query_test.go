package application

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/domain"
)

func TestQueryValidate(t *testing.T) {
	tests := map[string]struct {
		query   Query
		pointer string
	}{
		"zero":           {Query{}, ""},
		"all":            {Query{UserID: "u", EventType: "t", From: noon, To: noon, Limit: MaxLimit, Cursor: "?", Descending: true}, ""},
		"least limit":    {Query{Limit: MinLimit}, ""},
		"negative limit": {Query{Limit: -1}, "/limit"},
		"large limit":    {Query{Limit: MaxLimit + 1}, "/limit"},
		"long user":      {Query{UserID: strings.Repeat("u", domain.MaxUserIDBytes+1)}, "/userId"},
		"control":        {Query{UserID: "\n"}, "/userId"},
		"long type":      {Query{EventType: strings.Repeat("t", domain.MaxEventTypeBytes+1)}, "/eventType"},
		"not UTF-8":      {Query{EventType: "\xff"}, "/eventType"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.query.Validate()
			var invalid *domain.InvalidError
			switch {
			case tt.pointer == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.As(err, &invalid) || len(invalid.Violations) != 1 || invalid.Violations[0].Pointer != tt.pointer:
				t.Errorf("got %v, want a fault at %s", err, tt.pointer)
			}
		})
	}
}

// fakeReader holds one event.
type fakeReader struct{ queries []Query }

func (r *fakeReader) Event(_ context.Context, id domain.UUID) ([]byte, error) {
	if id != domain.NamedUUID("known") {
		return nil, domain.ErrNotFound
	}
	return []byte("event"), nil
}

func (r *fakeReader) Query(_ context.Context, q Query, yield func([]byte) error) (string, error) {
	r.queries = append(r.queries, q)
	return "next", yield([]byte("event"))
}

func TestFindEvent(t *testing.T) {
	find := NewFind(&fakeReader{})
	if got, err := find.Event(t.Context(), domain.NamedUUID("known")); string(got) != "event" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := find.Event(t.Context(), domain.NamedUUID("unknown")); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestFindEvents(t *testing.T) {
	store := &fakeReader{}
	find := NewFind(store)
	var got string
	next, err := find.Events(t.Context(), Query{UserID: "u"}, func(event []byte) error {
		got += string(event)
		return nil
	})
	if got != "event" || next != "next" || err != nil || store.queries[0].UserID != "u" {
		t.Errorf("got %q, %q, %v of %v", got, next, err, store.queries)
	}
	stop := errors.New("stop")
	if _, err := find.Events(t.Context(), Query{}, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, not the error of yield", err)
	}
	asked := len(store.queries)
	if _, err := find.Events(t.Context(), Query{Limit: -1}, nil); !errors.Is(err, domain.ErrInvalid) || len(store.queries) != asked {
		t.Errorf("got %v, and the store was asked for %v", err, store.queries[asked:])
	}
}
