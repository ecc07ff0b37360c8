package domain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// UUID identifies an event (RFC 9562). The zero value stands for "none".
type UUID [16]byte

const (
	uuidForm    = "00000000-0000-0000-0000-000000000000"
	uuidTextLen = len(uuidForm)
	uuidRule    = "must be a UUID of 8-4-4-4-12 hexadecimal digits, not all zero"
)

// uuidDigits is where the two digits of each byte begin in the text form.
var uuidDigits = [len(UUID{})]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// NewUUID returns a new UUIDv7 (RFC 9562 §5.7): 48 bits of the time in milliseconds, then 74 random bits. It never
// fails: since Go 1.24 crypto/rand ends the program rather than return bad randomness.
func NewUUID(now time.Time) UUID {
	var id UUID
	_, _ = rand.Read(id[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli())) // a time before 1970 wraps, still unique
	copy(id[:6], ms[2:])
	return id.stamp(7)
}

// NamedUUID returns the same UUIDv8 for the same parts (RFC 9562 appendix B.2: name-based with SHA-256). Parts are
// length-prefixed, so ("ab", "c") and ("a", "bc") differ.
func NamedUUID(parts ...string) UUID {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return UUID(h.Sum(nil)[:16]).stamp(8)
}

func (u UUID) stamp(version byte) UUID {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	return u
}

// ParseUUID reads the canonical text form, 8-4-4-4-12 hexadecimal digits in either case. The nil UUID is refused: it
// names nothing.
func ParseUUID(s string) (UUID, error) {
	u, ok := parseUUID([]byte(s))
	if !ok {
		return UUID{}, Invalid("", uuidRule)
	}
	return u, nil
}

func parseUUID(s []byte) (u UUID, ok bool) {
	if len(s) != uuidTextLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, false
	}
	var all byte
	for i, at := range uuidDigits {
		high, low := unhex[s[at]], unhex[s[at+1]]
		all |= high | low
		u[i] = high<<4 | low
	}
	return u, all != notHex && u != UUID{}
}

// String returns the canonical text form in lower case.
func (u UUID) String() string { return string(u.append(make([]byte, 0, uuidTextLen))) }

func (u UUID) append(dst []byte) []byte {
	dst = append(dst, uuidForm...)
	text := dst[len(dst)-uuidTextLen:]
	for i, at := range uuidDigits {
		text[at], text[at+1] = hexDigits[u[i]>>4], hexDigits[u[i]&15]
	}
	return dst
}

const (
	hexDigits = "0123456789abcdef"
	notHex    = 0xff
)

// unhex holds the value of each hexadecimal digit, notHex for every other byte.
var unhex = func() (values [256]byte) {
	for c := range values {
		values[c] = notHex
	}
	for i, c := range []byte(hexDigits) {
		values[c] = byte(i)
		if c >= 'a' {
			values[c-'a'+'A'] = byte(i)
		}
	}
	return values
}()
