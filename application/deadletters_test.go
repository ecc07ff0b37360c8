package application

import (
	"errors"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

func TestLettersWithoutBox(t *testing.T) {
	l := NewLetters(nil)
	for what, do := range map[string]func() error{
		"list":         func() error { _, err := l.List(t.Context(), LetterQuery{}); return err },
		"show":         func() error { _, err := l.Show(t.Context(), "0-0"); return err },
		"requeue":      func() error { _, err := l.Requeue(t.Context(), "0-0", ""); return err },
		"drop":         func() error { _, err := l.Drop(t.Context(), "0-0", ""); return err },
		"requeue many": func() error { _, err := l.RequeueMany(t.Context(), LetterQuery{}, ""); return err },
	} {
		if err := do(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got the error %v", what, err)
		}
	}
}

func TestLetterIDs(t *testing.T) {
	for _, p := range []Position{{}, {Partition: 7, Offset: 1 << 40}, {Partition: 1<<31 - 1, Offset: 1<<63 - 1}} {
		if got, err := ParseLetterID(LetterID(p)); got != p || err != nil {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	for _, id := range []string{"", "-", "1", "1-", "-1", "01-1", "1-01", "+1-1", "1--1", " 1-1", "1-1 ", "2147483648-0", "0-9223372036854775808"} {
		if got, err := ParseLetterID(id); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("%q is read as %v, %v", id, got, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, p := range []Place{{Topic: "t"}, {Topic: "a/b", Position: Position{Partition: 3, Offset: 4}}} {
		if got, ok := ParsePlace(p.String()); got != p || !ok {
			t.Errorf("%v is read as %v, %t", p, got, ok)
		}
	}
	for _, text := range []string{"", "//", "t", "t/1", "t/x/1", "t/1/x", "/1/1", "t/-1/1", "t/1/-1", "t/2147483648/0"} {
		if got, ok := ParsePlace(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestLetterQueryMatches(t *testing.T) {
	l := Letter{Reason: "invalid: /userId is required", Time: noon}
	for _, tt := range []struct {
		q    LetterQuery
		want bool
	}{
		{LetterQuery{}, true}, {LetterQuery{Reason: "/userId"}, true}, {LetterQuery{Reason: "/UserID"}, false},
		{LetterQuery{From: noon}, true}, {LetterQuery{From: noon.Add(1)}, false}, {LetterQuery{To: noon}, false}, {LetterQuery{To: noon.Add(1)}, true},
		{LetterQuery{Reason: "required", From: noon.Add(-time.Hour), To: noon.Add(time.Hour)}, true},
	} {
		if got := tt.q.Matches(l); got != tt.want {
			t.Errorf("%+v: got %t", tt.q, got)
		}
	}
}

// TestDecodeRequeuedRecord has a record whose id and time follow from where and when it was made at first.
func TestDecodeRequeuedRecord(t *testing.T) {
	const foreign = `{"userId":"u","eventType":"t"}`
	want := decode(t, foreign, origin)
	later := origin
	later.Position, later.Time = Position{Partition: 1, Offset: 7000}, noon.Add(time.Hour)
	headers := map[string]string{
		HeaderOrigin: Place{Topic: origin.Topic, Position: origin.Position}.String(), HeaderOriginTime: noon.Format(time.RFC3339Nano),
	}
	got, err := Decode([]byte(foreign), later, headers)
	if err != nil || string(got.Event.JSON()) != string(want.Event.JSON()) {
		t.Errorf("got %s, %v, want %s", got.Event.JSON(), err, want.Event.JSON())
	}
	if got.Position != later.Position || !got.Accepted.Equal(later.Time) {
		t.Errorf("it stands at %v, accepted %v", got.Position, got.Accepted)
	}
	const own = `{"eventId":"0190a0a0-0000-7000-8000-000000000001","userId":"u","eventType":"t","timestamp":"2020-01-01T00:00:00Z"}`
	if got, err := Decode([]byte(own), later, headers); err != nil || got.Event.ID().String() != "0190a0a0-0000-7000-8000-000000000001" ||
		got.Event.Timestamp().Year() != 2020 {
		t.Errorf("an event with an id of its own has become %s, %v", got.Event.JSON(), err)
	}
	for _, broken := range []map[string]string{{HeaderOrigin: "x"}, {HeaderOriginTime: "2020-01-01T00:00:00Z"}} {
		if got, err := Decode([]byte(foreign), origin, broken); err != nil || got.Event.ID() != want.Event.ID() || !got.Event.Timestamp().Equal(noon) {
			t.Errorf("with the headers %v it is %s, %v", broken, got.Event.JSON(), err)
		}
	}
}
