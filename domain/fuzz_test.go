package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The reference is jsontext, which is strict by default: it refuses duplicated names and bad UTF-8.

func addAll(f *testing.F, texts ...string) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
}

var fuzzedMetadata = []string{
	`{}`, ` { } `, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":"\ud83d\ude00\ud83d"}`, "{\"\xed\xa0\x80\":0}", `{"":[{},[],"",0,-0.0e+0]}`,
	`{"a": [1 , 2,{"b":null}], "c":true,"d" :false}`, `{"a":"\"\\\/\b\f\n\r\t\u0000"}`, `[]`, `null`, `"{}"`, `{`, `}`, `{"a":1]`,
	`{},"userId":"v"`, `{},"timestamp":"2026-01-31T12:00:00Z"`, `{"d":` + nested(MaxDepth-2) + `}`, `{"d":` + nested(MaxDepth-1) + `}`,
	many(20, func(i int) string { return string(rune('a' + i%19)) }), "{\"12345678\\u00e9é\x7f\":\"1234567\\\\\"}",
}

func FuzzDecodeDraft(f *testing.F) {
	for _, m := range fuzzedMetadata {
		f.Add([]byte(withMetadata(m)))
	}
	addAll(f, ``, `{}`, `[]`, "\ufeff{}", `{"userId":"\u0000","eventType":"t"}`, `{"x":1,"userId":2}`,
		`{"eventId":"`+someID+`","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00.5+01:00","metadata":{"a":[1]}}`,
	)
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		d, err := DecodeDraft(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the input has changed")
		}
		strict := jsontext.Value(text).IsValid()
		if err != nil {
			checkInvalid(t, err, strict && depthOf(text) <= MaxDepth)
			return
		}
		if !strict {
			t.Fatal("accepted, but it is not strict JSON")
		}
		e, err := d.Event(noon)
		if err != nil {
			checkInvalid(t, err, true)
			return
		}
		checkRoundTrip(t, e)
		checkReference(t, text, e)
	})
}

// checkInvalid holds that only what is not well-formed is called malformed.
func checkInvalid(t *testing.T, err error, wellFormed bool) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) || len(invalid.Violations) == 0 || len(invalid.Violations) > maxUnknown+6 {
		t.Fatalf("the error is %v", err)
	}
	if invalid.Malformed == wellFormed || invalid.Syntax && !invalid.Malformed {
		t.Fatalf("well-formed %t, but the error is %+v", wellFormed, invalid)
	}
}

func checkRoundTrip(t *testing.T, e Event) {
	t.Helper()
	d, err := DecodeDraft(e.JSON())
	if err != nil {
		t.Fatalf("%s does not come back: %v", e.JSON(), err)
	}
	again, err := d.Event(time.Time{})
	if err != nil || !bytes.Equal(again.JSON(), e.JSON()) {
		t.Fatalf("%s has become %s, %v", e.JSON(), again.JSON(), err)
	}
	if again.ID() != e.ID() || again.UserID() != e.UserID() || again.EventType() != e.EventType() || again.Timestamp() != e.Timestamp() {
		t.Fatalf("%+v has become %+v", e, again)
	}
}

// checkReference compares the event with what encoding/json reads.
func checkReference(t *testing.T, text []byte, e Event) {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if e.UserID() != want["userId"] || e.EventType() != want["eventType"] {
		t.Fatalf("%s has become %s", text, e.JSON())
	}
	if metadata, given := want["metadata"]; given {
		var got map[string]any
		if err := json.Unmarshal(e.JSON(), &got); err != nil {
			t.Fatal(err)
		}
		a, errA := json.Marshal(metadata)
		b, errB := json.Marshal(got["metadata"])
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s has become %s", a, b)
		}
	}
}

func depthOf(text []byte) int {
	deepest := 0
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.ReadToken(); err != nil {
			return deepest
		}
		deepest = max(deepest, d.StackDepth())
	}
}

func FuzzMetadata(f *testing.F) {
	addAll(f, fuzzedMetadata...)
	f.Fuzz(func(t *testing.T, metadata []byte) {
		d, err := DecodeDraft([]byte(withMetadata(string(metadata))))
		want := jsontext.Value(bytes.Clone(metadata))
		strict := want.IsValid()
		if !strict || want.Kind() != '{' || depthOf(metadata) >= MaxDepth {
			if strict && err == nil {
				t.Fatal("accepted, but it is no object or too deep")
			}
			checkByHand(t, metadata, nil)
			return
		}
		if err != nil {
			t.Fatalf("not accepted: %v", err)
		}
		if err := want.Compact(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(d.Metadata, want) {
			t.Fatalf("got %s, want %s", d.Metadata, want)
		}
		checkByHand(t, metadata, want)
	})
}

// checkByHand makes the event without the decoder; want is nil where it must be refused.
func checkByHand(t *testing.T, metadata, want []byte) {
	t.Helper()
	e, err := Draft{UserID: "u", EventType: "t", Metadata: metadata}.Event(noon)
	if len(metadata) == 0 {
		want = []byte(emptyObject)
	}
	if (err == nil) != (want != nil) {
		t.Fatalf("by hand: %v", err)
	}
	if err == nil && !bytes.HasSuffix(e.JSON(), []byte(`"metadata":`+string(want)+`}`)) {
		t.Fatalf("by hand: %s", e.JSON())
	}
}

func FuzzSplitArray(f *testing.F) {
	addAll(f, `[]`, `[1, {"a":[2,"]"]} ,"\"[,"]`, `[[1],[2,[3]]]`, `[,]`, `[1}`, `[`, `["\`, nested(50), `[ "a" , 1 ]x`)
	f.Fuzz(func(t *testing.T, text []byte) {
		elements, err := SplitArray(text)
		var want []json.RawMessage
		if bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("null")) || json.Unmarshal(text, &want) != nil || len(want) > MaxElements {
			if err == nil && !anyBad(elements) && len(want) <= MaxElements {
				t.Fatal("split, and every element is JSON, but the whole is not an array")
			}
			return
		}
		if err != nil || len(elements) != len(want) {
			t.Fatalf("%d elements, %v; want %d", len(elements), err, len(want))
		}
		for i := range want {
			if !bytes.Equal(elements[i], want[i]) {
				t.Fatalf("element %d is %q, want %q", i, elements[i], want[i])
			}
		}
	})
}

func anyBad(elements [][]byte) bool {
	for _, e := range elements {
		if !json.Valid(e) {
			return true
		}
	}
	return false
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func FuzzParseTimestamp(f *testing.F) {
	for _, text := range []string{
		"2026-01-31T12:00:00Z", "2024-02-29t23:59:59.1234567899-23:59", "2026-02-29T24:00:00Z", "2026-01-31T1:00:00,5Z", "0000-01-01T00:00:00+01:00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, wantErr := time.Parse(time.RFC3339, strings.ToUpper(text))
		ok := wantErr == nil && rfc3339.MatchString(text)
		got, err := ParseTimestamp(text)
		if (err == nil) != ok || ok && !got.Equal(want) {
			t.Fatalf("got %s, %v; want %s, accepted %t", got, err, want, ok)
		}
	})
}

func FuzzParseUUID(f *testing.F) {
	f.Add(someID)
	f.Add("FFFFFFFF-ffff-0000-0000-00000000000g")
	form := regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseUUID(text)
		ok := form.MatchString(text) && strings.Trim(text, "0-") != ""
		if (err == nil) != ok || ok && id.String() != strings.ToLower(text) {
			t.Fatalf("got %s, %v", id, err)
		}
	})
}
