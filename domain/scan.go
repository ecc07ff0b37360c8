package domain

import (
	"bytes"
	"fmt"
	"strconv"
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
}

func (s *scanner) space() {
	if s.peek() <= ' ' {
		s.skipSpace()
	}
}

func (s *scanner) skipSpace() {
	end := s.pos
	for end < len(s.text) && isSpace(s.text[end]) {
		end++
	}
	if end > s.pos {
		s.spaces++
	}
	s.pos = end
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

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
	switch s.peek() {
	case '{':
		return s.object(nil)
	case '[':
		return s.array()
	case '"':
		_, _, err := s.str()
		return err
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.syntax("a value")
}

// object passes over an object. Unless it is nil, member is called at each member's value, and must pass over it.
func (s *scanner) object(member func(name []byte) *InvalidError) *InvalidError {
	if err := s.enter(); err != nil {
		return err
	}
	var names nameSet
	for more := !s.closes('}'); more; {
		name, err := s.name(&names)
		if err != nil {
			return err
		}
		if member != nil {
			err = member(name)
		} else {
			err = s.value()
		}
		if err != nil {
			return err.within(string(name))
		}
		if more, err = s.next('}'); err != nil {
			return err
		}
	}
	s.depth--
	return nil
}

// name passes over a member's name, which must be new to the names of its object, and the colon.
func (s *scanner) name(names *nameSet) ([]byte, *InvalidError) {
	if s.peek() != '"' {
		return nil, s.syntax("a name in double quotes")
	}
	name, escaped, err := s.str()
	if err != nil {
		return nil, err
	}
	if escaped {
		name = unescape(name)
	}
	if !names.add(name) {
		return nil, unstrict("is there twice: a name may occur once").within(string(name))
	}
	if s.space(); s.peek() != ':' {
		return nil, s.syntax("a colon")
	}
	s.pos++
	s.space()
	return name, nil
}

func (s *scanner) array() *InvalidError {
	if err := s.enter(); err != nil {
		return err
	}
	more := !s.closes(']')
	for i := 0; more; i++ {
		err := s.value()
		if err != nil {
			return err.within(strconv.Itoa(i))
		}
		if more, err = s.next(']'); err != nil {
			return err
		}
	}
	s.depth--
	return nil
}

// enter passes over an opening bracket.
func (s *scanner) enter() *InvalidError {
	if s.depth == MaxDepth {
		return unstrict("is nested deeper than %d levels", MaxDepth)
	}
	s.depth++
	s.pos++
	return nil
}

// closes passes over the bracket that ends an object or array without elements, if it is there.
func (s *scanner) closes(closing byte) bool {
	if s.space(); s.peek() != closing {
		return false
	}
	s.pos++
	return true
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

// compact returns the strict JSON in text without insignificant space.
func compact(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			end := closingQuote(text, i)
			out = append(out, text[i:end+1]...)
			i = end
		case !isSpace(c):
			out = append(out, c)
		}
	}
	return out
}
