package domain

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEventFillsInWhatIsMissing(t *testing.T) {
	zone := time.FixedZone("", 3600)
	e, err := Draft{UserID: "u", EventType: "t"}.Event(noon.In(zone))
	if err != nil {
		t.Fatal(err)
	}
	if e.ID() == (UUID{}) || e.ID()[6]>>4 != 7 {
		t.Errorf("the id is %s, not a new UUIDv7", e.ID())
	}
	if e.Timestamp() != noon {
		t.Errorf("the timestamp is %s, not now in UTC", e.Timestamp())
	}
	want := `{"eventId":"` + e.ID().String() + `","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00Z","metadata":{}}`
	if got := string(e.JSON()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEventKeepsWhatIsGiven(t *testing.T) {
	id := NamedUUID("x")
	at := time.Date(2026, time.January, 31, 13, 0, 0, 120, time.FixedZone("", 3600))
	e, err := Draft{ID: id, UserID: "u", EventType: "t", Timestamp: at, Metadata: []byte(" { \"a\" : 1 }\n")}.Event(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if e.ID() != id || e.UserID() != "u" || e.EventType() != "t" || !e.Timestamp().Equal(at) || e.Timestamp().Location() != time.UTC {
		t.Errorf("got %+v", e)
	}
	want := `{"eventId":"` + id.String() + `","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00.00000012Z","metadata":{"a":1}}`
	if got := string(e.JSON()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRulesOfText(t *testing.T) {
	check := map[string]struct {
		limit int
		call  func(s, pointer string) error
		event func(s string) error
	}{
		"/userId": {MaxUserIDBytes, CheckUserID, func(s string) error {
			_, err := Draft{UserID: s, EventType: "t"}.Event(noon)
			return err
		}},
		"/eventType": {MaxEventTypeBytes, CheckEventType, func(s string) error {
			_, err := Draft{UserID: "u", EventType: s}.Event(noon)
			return err
		}},
	}
	for pointer, c := range check {
		tests := map[string]bool{
			"a":                                   true,
			" ":                                   true,
			"a/b ~\"\\é😀\u2028\ufeff\u200b":       true,
			strings.Repeat("a", c.limit):          true,
			strings.Repeat("é", c.limit/2):        true,
			"":                                    false,
			strings.Repeat("a", c.limit+1):        false,
			strings.Repeat("é", c.limit/2) + "a":  false,
			"\x00":                                false,
			"a\nb":                                false,
			"\x1f":                                false,
			"a\x7f":                               false,
			"é\u0080":                             false,
			"\u009f":                              false,
			"\xff":                                false,
			"a\xed\xa0\x80":                       false,
			strings.Repeat("é", c.limit/2)[:3]:    false,
			strings.Repeat("\xff", c.limit) + "a": false,
		}
		for text, ok := range tests {
			for _, err := range []error{c.call(text, pointer), c.event(text)} {
				var invalid *InvalidError
				if ok && err != nil || !ok && (!errors.As(err, &invalid) || invalid.Malformed ||
					!slices.Equal(pointers(invalid), []string{pointer})) {
					t.Errorf("%s %q: got %v, want accepted %t", pointer, text, err, ok)
				}
			}
		}
	}
}

func TestRuleOfYears(t *testing.T) {
	at := func(text string) time.Time {
		at, err := ParseTimestamp(text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	tests := map[string]struct {
		at time.Time
		ok bool
	}{
		"first":      {at("0000-01-01T00:00:00Z"), true},
		"before":     {at("0000-01-01T00:00:00+00:01"), false},
		"last":       {at("9999-12-31T23:59:59.999999999Z"), true},
		"behind":     {at("9999-12-31T23:59:59-00:01"), false},
		"far behind": {time.Unix(math.MaxInt64, 0), false},
		"far before": {time.Unix(math.MinInt64, 0), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, given := Draft{ID: NamedUUID("x"), UserID: "u", EventType: "t", Timestamp: tt.at}.Event(noon)
			_, filledIn := Draft{ID: NamedUUID("x"), UserID: "u", EventType: "t"}.Event(tt.at)
			for _, err := range []error{given, filledIn} {
				var invalid *InvalidError
				if tt.ok && err != nil || !tt.ok && (!errors.As(err, &invalid) || !slices.Equal(pointers(invalid), []string{"/timestamp"})) {
					t.Errorf("got %v, want accepted %t", err, tt.ok)
				}
			}
		})
	}
}

func TestMetadataOfDraftsMadeByHand(t *testing.T) {
	tests := map[string]struct {
		metadata  string
		pointer   string
		malformed bool
	}{
		"no object":       {`[]`, "/metadata", false},
		"null":            {`null`, "/metadata", false},
		"space":           {` `, "/metadata", true},
		"cut":             {`{"a":`, "/metadata/a", true},
		"second value":    {`{} {}`, "/metadata", true},
		"not at all JSON": {`x`, "/metadata", true},
		"twice":           {`{"a":{"b":1,"b":2}}`, "/metadata/a/b", true},
		"bad UTF-8":       {"{\"a\":\"\xff\"}", "/metadata/a", true},
		"too deep":        {`{"d":` + nested(MaxDepth-1) + `}`, "/metadata/d" + strings.Repeat("/0", MaxDepth-2), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Draft{UserID: "u", EventType: "t", Metadata: []byte(tt.metadata)}.Event(noon)
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Malformed != tt.malformed || !slices.Equal(pointers(invalid), []string{tt.pointer}) {
				t.Errorf("got %v", err)
			}
		})
	}
	deep := `{"d":` + nested(MaxDepth-2) + `}`
	e, err := Draft{UserID: "u", EventType: "t", Metadata: []byte(deep)}.Event(noon)
	if err != nil || !strings.HasSuffix(string(e.JSON()), `"metadata":`+deep+`}`) {
		t.Errorf("metadata that may just be: %v", err)
	}
	if _, err := DecodeDraft(e.JSON()); err != nil {
		t.Errorf("it does not come back: %v", err)
	}
}

func TestMetadataSetAfterDecodingIsChecked(t *testing.T) {
	d, err := DecodeDraft([]byte(withMetadata(`{"a":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	d.Metadata = []byte(`{"a":x}`)
	if e, err := d.Event(noon); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %s, %v", e.JSON(), err)
	}
	d.Metadata = nil
	if e, err := d.Event(noon); err != nil || !strings.HasSuffix(string(e.JSON()), `"metadata":{}}`) {
		t.Errorf("got %s, %v", e.JSON(), err)
	}
}

func TestEventListsEveryFault(t *testing.T) {
	_, err := Draft{UserID: "\n", Timestamp: time.Unix(math.MaxInt64, 0), Metadata: []byte(`[]`)}.Event(noon)
	var invalid *InvalidError
	want := []string{"/userId", "/eventType", "/timestamp", "/metadata"}
	if !errors.As(err, &invalid) || !slices.Equal(pointers(invalid), want) {
		t.Errorf("got %v, want faults at %q", err, want)
	}
}

func TestAppendString(t *testing.T) {
	for c := range 0x300 {
		text := "a" + string(rune(c)) + "b"
		got := string(AppendString([]byte("x"), text))
		var back string
		if err := json.Unmarshal([]byte(got[1:]), &back); err != nil || got[0] != 'x' || back != text {
			t.Errorf("%q has become %s", text, got)
		}
		if _, err := DecodeDraft([]byte(withMetadata(`{"s":` + got[1:] + `}`))); err != nil {
			t.Errorf("%s is not strict: %v", got, err)
		}
	}
	if got := string(AppendString(nil, "\"\\/\x01é\u2028<")); got != `"\"\\/\u0001é`+"\u2028"+`<"` {
		t.Errorf("more or less is escaped than must be: %s", got)
	}
}
