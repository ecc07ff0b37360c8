package domain

import (
	"bytes"
	"fmt"
)

// MaxElements is how many elements [SplitArray] takes. Without a limit two bytes of input would cost the memory of a
// slice's header.
const MaxElements = 10_000

// SplitArray returns the text of each element of the JSON array in text, which shares its memory. Only the brackets and
// strings are read: an element is checked when it is decoded. An array of more than [MaxElements] is an [ErrTooLarge].
func SplitArray(text []byte) ([][]byte, error) {
	s := &scanner{text: text}
	s.space()
	if s.peek() != '[' {
		return nil, Invalid("", "must be a JSON array of events")
	}
	s.pos++
	if s.closes(']') {
		return nil, asError(s.end())
	}
	var elements [][]byte
	for more := true; more; {
		if len(elements) == MaxElements {
			return nil, fmt.Errorf("%w: an array of more than %d elements", ErrTooLarge, MaxElements)
		}
		start := s.pos
		s.skim()
		elements = append(elements, bytes.TrimRight(text[start:s.pos], " \t\r\n"))
		var err *InvalidError
		if more, err = s.next(']'); err != nil {
			return nil, err
		}
	}
	return elements, asError(s.end())
}

// skim passes over an element of an array, up to the comma or bracket behind it, at any depth in constant memory.
func (s *scanner) skim() {
	depth := 0
	for ; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '"':
			s.pos = closingQuote(s.text, s.pos)
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
