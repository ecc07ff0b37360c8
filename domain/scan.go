package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads strict JSON (RFC 8259, and I-JSON's rules of RFC 7493 on names and text) in one pass without building
// values: encoding/json lets duplicated names pass, the last one winning, and replaces bad UTF-8 and lone surrogates, so
// that what is stored would not be what was sent.
type scanner struct {
	text []byte
	pos  int
	// depth counts the objects and arrays that are open.
	depth int
	// spaces counts the runs of insignificant space that were passed.
	spaces int
	// names holds those of all open objects, innermost last.
	names [][]byte
}

// linearNames is up to how many names of one object are compared one by one before a map takes over.
const linearNames = 24

func (s *scanner) space() {
	start := s.pos
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
			continue
		}
		break
	}
	if s.pos > start {
		s.spaces++
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// syntax is the error of meeting something else than what JSON wants here.
func (s *scanner) syntax(want string) *InvalidError {
	found := "the end of the input"
	if s.pos < len(s.text) {
		r, size := utf8.DecodeRune(s.text[s.pos:])
		if found = strconv.QuoteRune(r); r == utf8.RuneError && size == 1 {
			found = fmt.Sprintf("byte 0x%02x", s.text[s.pos])
		}
	}
	return &InvalidError{Malformed: true, Syntax: true, Violations: []Violation{{
		Detail: fmt.Sprintf("is not JSON: %s at byte %d where %s belongs", found, s.pos, want),
	}}}
}

// unstrict is the error of JSON that has no single meaning.
func unstrict(format string, args ...any) *InvalidError {
	return &InvalidError{Malformed: true, Violations: []Violation{{Detail: fmt.Sprintf(format, args...)}}}
}

// value passes over any one value.
func (s *scanner) value() *InvalidError {
	switch c := s.peek(); {
	case c == '{':
		return s.object(func([]byte) *InvalidError { return s.value() })
	case c == '[':
		return s.array()
	case c == '"':
		_, _, err := s.str()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.syntax("a value")
}

// object passes over an object; member is called at each member's value, and must pass over it.
func (s *scanner) object(member func(name []byte) *InvalidError) *InvalidError {
	if err := s.enter(); err != nil {
		return err
	}
	base := len(s.names)
	defer func() { s.names = s.names[:base]; s.depth-- }()
	if s.space(); s.peek() == '}' {
		s.pos++
		return nil
	}
	var seen map[string]struct{}
	for {
		name, err := s.name(base, &seen)
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err.within(string(name))
		}
		if more, err := s.next('}'); !more {
			return err
		}
	}
}

// name passes over a member's name, which must be new to the object whose names start at base, and the colon.
func (s *scanner) name(base int, seen *map[string]struct{}) ([]byte, *InvalidError) {
	if s.peek() != '"' {
		return nil, s.syntax("a name in double quotes")
	}
	raw, escaped, err := s.str()
	if err != nil {
		return nil, err
	}
	name := raw
	if escaped {
		name = []byte(unescape(raw))
	}
	if s.repeated(name, base, seen) {
		return nil, unstrict("is there twice: a name may occur once").within(string(name))
	}
	if s.space(); s.peek() != ':' {
		return nil, s.syntax("a colon")
	}
	s.pos++
	s.space()
	return name, nil
}

func (s *scanner) repeated(name []byte, base int, seen *map[string]struct{}) bool {
	names := s.names[base:]
	s.names = append(s.names, name)
	if len(names) < linearNames {
		for _, n := range names {
			if bytes.Equal(n, name) {
				return true
			}
		}
		return false
	}
	if *seen == nil {
		*seen = make(map[string]struct{}, 2*linearNames)
		for _, n := range names {
			(*seen)[string(n)] = struct{}{}
		}
	}
	before := len(*seen)
	(*seen)[string(name)] = struct{}{}
	return len(*seen) == before
}

func (s *scanner) array() *InvalidError {
	if err := s.enter(); err != nil {
		return err
	}
	defer func() { s.depth-- }()
	if s.space(); s.peek() == ']' {
		s.pos++
		return nil
	}
	for i := 0; ; i++ {
		if err := s.value(); err != nil {
			return err.within(strconv.Itoa(i))
		}
		if more, err := s.next(']'); !more {
			return err
		}
	}
}

func (s *scanner) enter() *InvalidError {
	s.pos++
	if s.depth++; s.depth > MaxDepth {
		s.depth--
		return unstrict("is nested deeper than %d levels", MaxDepth)
	}
	return nil
}

// next passes over what follows an element: a comma (true) or the closing bracket (false).
func (s *scanner) next(closing byte) (more bool, err *InvalidError) {
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.syntax("a comma or " + strconv.QuoteRune(rune(closing)))
}

// str passes over a string and returns what is between the quotes, and whether escapes are in it.
func (s *scanner) str() (raw []byte, escaped bool, err *InvalidError) {
	s.pos++
	start := s.pos
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, s.syntax("a character of a string (control characters must be escaped)")
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.text[s.pos:])
			if r == utf8.RuneError && size == 1 {
				return nil, false, unstrict("is not valid UTF-8 at byte %d", s.pos)
			}
			s.pos += size
		}
	}
	return nil, false, s.syntax("the closing quote of a string")
}

func (s *scanner) escape() *InvalidError {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
	default:
		return s.syntax("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")
	}
	at := s.pos - 1
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return err
	}
	if s.peek() == '\\' && s.pos+1 < len(s.text) && s.text[s.pos+1] == 'u' {
		s.pos++
		low, err := s.hex4()
		if err != nil {
			return err
		}
		if utf16.DecodeRune(r, low) != utf8.RuneError {
			return nil
		}
	}
	return unstrict("holds a lone surrogate at byte %d, which is not valid Unicode", at)
}

// hex4 passes over the u and the four digits of an escape.
func (s *scanner) hex4() (rune, *InvalidError) {
	var r rune
	for range 4 {
		s.pos++
		switch c := s.peek(); {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, s.syntax("a hexadecimal digit")
		}
	}
	s.pos++
	return r, nil
}

func (s *scanner) number() *InvalidError {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.peek() == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if c := s.peek(); c != 'e' && c != 'E' {
		return nil
	}
	s.pos++
	if c := s.peek(); c == '+' || c == '-' {
		s.pos++
	}
	return s.digits()
}

func (s *scanner) digits() *InvalidError {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	if s.pos == start {
		return s.syntax("a digit")
	}
	return nil
}

func (s *scanner) literal(word string) *InvalidError {
	if !bytes.HasPrefix(s.text[s.pos:], []byte(word)) {
		return s.syntax("a value")
	}
	s.pos += len(word)
	return nil
}

// end checks that nothing but space follows.
func (s *scanner) end() *InvalidError {
	if s.space(); s.pos < len(s.text) {
		return s.syntax("the end of the input")
	}
	return nil
}

// unescape decodes the inside of a string that str has passed over.
func unescape(raw []byte) string {
	var text string
	if json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &text) != nil {
		return strings.ToValidUTF8(string(raw), "") // cannot be: str has checked it
	}
	return text
}
