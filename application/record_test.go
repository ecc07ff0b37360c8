package application

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

var origin = Origin{Topic: "events", Position: Position{Partition: 3, Offset: 42}, Key: []byte("u"), Time: noon}

func decode(t *testing.T, value string, o Origin) Entry {
	t.Helper()
	entry, err := Decode([]byte(value), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

func TestDecodeOwnRecord(t *testing.T) {
	event, err := domain.Draft{UserID: "u", EventType: "t", Metadata: []byte(`{"n":1.0}`)}.Event(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	entry := decode(t, string(event.JSON()), origin)
	if got := entry.Event; string(got.JSON()) != string(event.JSON()) || got.ID() != event.ID() || got.Timestamp() != event.Timestamp() {
		t.Errorf("%s has become %s", event.JSON(), got.JSON())
	}
	if entry.Position != origin.Position {
		t.Errorf("the position is %v", entry.Position)
	}
}

func TestDecodeForeignRecord(t *testing.T) {
	const foreign = `{ "metadata": {"a": 1}, "eventType": "t", "userId": "u" }`
	first := decode(t, foreign, origin)
	// The id is the same in every version.
	want := `{"eventId":"6909ac44-3cab-8664-9c18-002a4fb39054","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00Z","metadata":{"a":1}}`
	if got := string(first.Event.JSON()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if again := decode(t, foreign, origin); string(again.Event.JSON()) != want {
		t.Errorf("read again it is %s", again.Event.JSON())
	}
	other := origin
	other.Key, other.Time = nil, noon.Add(time.Second)
	if decode(t, foreign, other).Event.ID() != first.Event.ID() {
		t.Error("the id depends on more than the place")
	}
	for name, change := range map[string]func(*Origin){
		"topic":     func(o *Origin) { o.Topic = "events2" },
		"partition": func(o *Origin) { o.Partition = 4 },
		"offset":    func(o *Origin) { o.Offset = 43 },
		"digits":    func(o *Origin) { o.Partition, o.Offset = 34, 2 },
	} {
		other := origin
		change(&other)
		if decode(t, foreign, other).Event.ID() == first.Event.ID() {
			t.Errorf("%s: two places have one id", name)
		}
	}
}

func TestDecodeKeepsForeignFields(t *testing.T) {
	entry := decode(t, `{"eventId":"0190A0A0-0000-7000-8000-000000000001","userId":"u","eventType":"t","timestamp":"2020-01-01T00:00:00+01:00"}`, origin)
	want := `{"eventId":"0190a0a0-0000-7000-8000-000000000001","userId":"u","eventType":"t","timestamp":"2019-12-31T23:00:00Z","metadata":{}}`
	if got := string(entry.Event.JSON()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDecodeInvalid(t *testing.T) {
	late := origin
	late.Time = time.UnixMilli(math.MaxInt64)
	tests := map[string]struct {
		value  string
		origin Origin
	}{
		"tombstone":     {"", origin},
		"not JSON":      {"hello", origin},
		"other members": {`{"user_id":"u"}`, origin},
		"missing":       {`{"userId":"u"}`, origin},
		"record time":   {`{"userId":"u","eventType":"t"}`, late},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if entry, err := Decode([]byte(tt.value), tt.origin, nil); !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("got %s, %v", entry.Event.JSON(), err)
			}
		})
	}
}

func TestDecodeDoesNotKeepTheValue(t *testing.T) {
	value := []byte(`{"userId":"user","eventType":"type","metadata":{"a":"b"}}`)
	entry := decode(t, string(value), origin)
	shared, err := Decode(value, origin, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(value)
	if string(shared.Event.JSON()) != string(entry.Event.JSON()) || shared.Event.UserID() != "user" {
		t.Errorf("the event has changed with the record: %s", shared.Event.JSON())
	}
}

type recorder func(entries []Entry) (int, error)

func (r recorder) Record(_ context.Context, b Batch) (int, error) { return r(b.Entries) }

func (r recorder) Positions(context.Context, string) (map[int32]int64, error) { return nil, nil }

func TestBatch(t *testing.T) {
	entries := []Entry{decode(t, `{"userId":"u","eventType":"t"}`, origin)}
	record := NewRecord(recorder(func(got []Entry) (int, error) {
		if len(got) != 1 || got[0].Position != origin.Position {
			t.Errorf("the store got %v", got)
		}
		return 1, nil
	}))
	if added, err := record.Batch(t.Context(), Batch{Entries: entries}); added != 1 || err != nil {
		t.Errorf("got %d, %v", added, err)
	}
	for _, kind := range []error{domain.ErrUnavailable, domain.ErrInvalid, context.Canceled} {
		record := NewRecord(recorder(func([]Entry) (int, error) { return 1, kind }))
		added, err := record.Batch(t.Context(), Batch{Entries: entries})
		if added != 0 || !errors.Is(err, kind) || !strings.Contains(err.Error(), "record 1 events") {
			t.Errorf("%v: got %d, %v", kind, added, err)
		}
	}
}

func TestOriginInContext(t *testing.T) {
	if _, ok := OriginFrom(t.Context()); ok {
		t.Error("there is an origin in a context that carries none")
	}
	if got, ok := OriginFrom(WithOrigin(t.Context(), origin)); !ok || got.Position != origin.Position || got.Topic != origin.Topic {
		t.Errorf("got %v, %t", got, ok)
	}
}
