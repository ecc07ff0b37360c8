package domain

import (
	"bytes"
	"encoding/json"
	"time"
)

// DecodeDraft reads an event from the text of a JSON object. Unknown members are refused. The error is an
// [*InvalidError]: malformed input is reported at its first fault, wrong values all together.
//
// The draft's Metadata may share memory with text.
func DecodeDraft(text []byte) (Draft, error) {
	s := &scanner{text: text}
	s.space()
	if s.peek() != '{' {
		return Draft{}, notObject(s)
	}
	d := Draft{strict: true}
	var wrong []Violation
	err := s.object(func(name []byte) *InvalidError {
		detail, err := d.set(s, name)
		if detail != "" {
			wrong = append(wrong, Violation{"/" + pointerEscaper.Replace(string(name)), detail})
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return Draft{}, err
	}
	if len(wrong) > 0 {
		return Draft{}, &InvalidError{Violations: addMissing(wrong, d.Violations())}
	}
	return d, nil
}

// notObject tells a value of another kind from text that is not JSON.
func notObject(s *scanner) error {
	err := s.value()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	return Invalid("", "must be a JSON object")
}

// addMissing adds the violations of members that are not already known to be wrong.
func addMissing(wrong, rules []Violation) []Violation {
	known := make(map[string]bool, len(wrong))
	for _, v := range wrong {
		known[v.Pointer] = true
	}
	for _, v := range rules {
		if !known[v.Pointer] {
			wrong = append(wrong, v)
		}
	}
	return wrong
}

// set reads the value of the named member into the draft; detail says what is wrong with a well-formed value.
func (d *Draft) set(s *scanner, name []byte) (detail string, err *InvalidError) {
	switch string(name) {
	case "eventId":
		return d.setText(s, d.setID)
	case "userId":
		return d.setText(s, func(text string) string { d.UserID = text; return "" })
	case "eventType":
		return d.setText(s, func(text string) string { d.EventType = text; return "" })
	case "timestamp":
		return d.setText(s, d.setTimestamp)
	case "metadata":
		return d.setMetadata(s)
	}
	return "is unknown: eventId, userId, eventType, timestamp and metadata are allowed", s.value()
}

func (d *Draft) setText(s *scanner, set func(string) string) (string, *InvalidError) {
	if s.peek() != '"' {
		return "must be a string", s.value()
	}
	raw, escaped, err := s.str()
	if err != nil {
		return "", err
	}
	if escaped {
		return set(unescape(raw)), nil
	}
	return set(string(raw)), nil
}

func (d *Draft) setID(text string) string {
	id, err := ParseUUID(text)
	if err != nil {
		return uuidRule
	}
	d.ID = id
	return ""
}

func (d *Draft) setTimestamp(text string) string {
	t, err := ParseTimestamp(text)
	if err != nil {
		return timestampRule
	}
	d.Timestamp, d.dated = t, true
	return ""
}

func (d *Draft) setMetadata(s *scanner) (string, *InvalidError) {
	if s.peek() != '{' {
		return "must be a JSON object", s.value()
	}
	start, spaces := s.pos, s.spaces
	if err := s.value(); err != nil {
		return "", err
	}
	d.Metadata = s.text[start:s.pos]
	if s.spaces > spaces {
		d.Metadata = compact(d.Metadata)
	}
	return "", nil
}

// compactObject returns the strict JSON object in text without insignificant space; none at all is nil.
func compactObject(text []byte) ([]byte, error) {
	if len(text) == 0 {
		return nil, nil
	}
	s := &scanner{text: text, depth: 1}
	s.space()
	if s.peek() != '{' {
		return nil, Invalid("/metadata", "must be a JSON object")
	}
	err := s.value()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err.within("metadata")
	}
	return compact(text), nil
}

func compact(text []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(text))
	if json.Compact(&b, text) != nil {
		return text // cannot be: the scanner has passed over it
	}
	return b.Bytes()
}

// ParseTimestamp reads RFC 3339, whose letters may be in either case. Digits beyond nanoseconds are dropped; a leap
// second (:60) is refused.
func ParseTimestamp(text string) (time.Time, error) {
	upper := []byte(text)
	for i, c := range upper {
		if c == 't' || c == 'z' {
			upper[i] = c - 'a' + 'A'
		}
	}
	var t time.Time
	if t.UnmarshalText(upper) != nil {
		return time.Time{}, Invalid("", timestampRule)
	}
	return t.UTC(), nil
}

const timestampRule = "must be a timestamp of RFC 3339, such as 2026-01-31T12:00:00Z"

// SplitArray returns the text of each element of the JSON array in text, which shares its memory. Only the brackets and
// strings are read: an element is checked when it is decoded.
func SplitArray(text []byte) ([][]byte, error) {
	s := &scanner{text: text}
	s.space()
	if s.peek() != '[' {
		return nil, Invalid("", "must be a JSON array of events")
	}
	s.pos++
	if s.space(); s.peek() == ']' {
		s.pos++
		return nil, asError(s.end())
	}
	var elements [][]byte
	for {
		start := s.pos
		s.skim()
		elements = append(elements, bytes.TrimRight(s.text[start:s.pos], " \t\r\n"))
		more, err := s.next(']')
		if err != nil {
			return nil, err
		}
		if !more {
			return elements, asError(s.end())
		}
	}
}

// asError keeps a nil pointer from becoming a non-nil error.
func asError(err *InvalidError) error {
	if err == nil {
		return nil
	}
	return err
}

// skim passes over an element of an array, up to the comma or bracket behind it, at any depth in constant memory.
func (s *scanner) skim() {
	for depth := 0; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '"':
			s.skimString()
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
		case ',':
			if depth == 0 {
				return
			}
		}
	}
	s.pos = len(s.text)
}

// skimString goes to the closing quote.
func (s *scanner) skimString() {
	for s.pos++; s.pos < len(s.text) && s.text[s.pos] != '"'; s.pos++ {
		if s.text[s.pos] == '\\' {
			s.pos++
		}
	}
}
