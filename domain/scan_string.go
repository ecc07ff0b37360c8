package domain

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// str passes over a string and returns what is between the quotes, and whether escapes are in it.
func (s *scanner) str() (raw []byte, escaped bool, err *InvalidError) {
	start := s.pos + 1
	end := start + plain(s.text[start:])
	if end < len(s.text) && s.text[end] == '"' { // as most strings are
		s.pos = end + 1
		return s.text[start:end], false, nil
	}
	for s.pos = end; ; {
		s.pos += plain(s.text[s.pos:])
		if s.pos == len(s.text) {
			return nil, false, s.syntax("the closing quote of a string")
		}
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1], escaped, nil
		case c == '\\':
			escaped = true
			err = s.escape()
		case c < ' ':
			err = s.syntax("a character of a string (control characters must be escaped)")
		default:
			err = s.runes()
		}
		if err != nil {
			return nil, false, err
		}
	}
}

// plain returns how many bytes at the start of text stand for themselves in a string and are ASCII.
func plain(text []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	n := 0
	// Eight bytes at once. A borrow starts only at a byte that is not plain, so that the lowest mark is always right.
	for ; n+8 <= len(text); n += 8 {
		w := binary.LittleEndian.Uint64(text[n:])
		controls, quotes, escapes := w-' '*ones, (w^'"'*ones)-ones, (w^'\\'*ones)-ones
		if marks := (w | controls | quotes | escapes) & highs; marks != 0 {
			return n + bits.TrailingZeros64(marks)/8
		}
	}
	for n < len(text) && isPlain(text[n]) {
		n++
	}
	return n
}

func isPlain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

// runes passes over characters beyond ASCII.
func (s *scanner) runes() *InvalidError {
	for s.peek() >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s.text[s.pos:])
		if r == utf8.RuneError && size == 1 {
			return unstrict("is not valid UTF-8 at byte %d", s.pos)
		}
		s.pos += size
	}
	return nil
}

func (s *scanner) escape() *InvalidError {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
	default:
		return s.syntax(`one of the escapes \" \\ \/ \b \f \n \r \t \u`)
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
	s.pos++
	start := s.pos
	for ; s.pos < start+4; s.pos++ {
		if unhex[s.peek()] == notHex {
			return 0, s.syntax("a hexadecimal digit")
		}
	}
	return hexRune(s.text[start:]), nil
}

// hexRune reads four hexadecimal digits.
func hexRune(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		r = r<<4 | rune(unhex[c])
	}
	return r
}

// unescape decodes the inside of a string that str has passed over.
func unescape(raw []byte) []byte {
	text := make([]byte, 0, len(raw)) // an escape is never shorter than what it stands for
	for {
		before, rest, found := bytes.Cut(raw, []byte{'\\'})
		text = append(text, before...)
		if !found {
			return text
		}
		text, raw = appendEscaped(text, rest)
	}
}

// appendEscaped appends what the escape stands for whose backslash is right before raw, and returns the rest of raw.
func appendEscaped(text, raw []byte) (_, rest []byte) {
	switch c := raw[0]; c {
	case 'u':
		r, size := hexRune(raw[1:]), len(`u0000`)
		if utf16.IsSurrogate(r) {
			r, size = utf16.DecodeRune(r, hexRune(raw[len(`uD800\u`):])), len(`uD800\uDC00`)
		}
		return utf8.AppendRune(text, r), raw[size:]
	case 'b':
		text = append(text, '\b')
	case 'f':
		text = append(text, '\f')
	case 'n':
		text = append(text, '\n')
	case 'r':
		text = append(text, '\r')
	case 't':
		text = append(text, '\t')
	default:
		text = append(text, c)
	}
	return text, raw[1:]
}

// closingQuote returns the place of the quote that closes the string whose opening one is at i, len(text) if none does.
// It looks at nothing else in the string.
func closingQuote(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return len(text)
}
