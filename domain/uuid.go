package domain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// UUID identifies an event (RFC 9562). The zero value stands for "none".
type UUID [16]byte

const uuidTextLen = 36

// NewUUID returns a new UUIDv7 (RFC 9562 §5.7): 48 bits of the time in milliseconds, then 74 random bits. It never
// fails: since Go 1.24 crypto/rand ends the program rather than return bad randomness.
func NewUUID(now time.Time) UUID {
	var id UUID
	_, _ = rand.Read(id[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli())) //nolint:gosec // a time before 1970 wraps, still unique
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
	var u UUID
	if len(s) != uuidTextLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, Invalid("", uuidRule)
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil || u == (UUID{}) {
		return UUID{}, Invalid("", uuidRule)
	}
	return u, nil
}

const uuidRule = "must be a UUID of 8-4-4-4-12 hexadecimal digits, not all zero"

// String returns the canonical text form in lower case.
func (u UUID) String() string { return string(u.append(make([]byte, 0, uuidTextLen))) }

func (u UUID) append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, u[:4])
	for _, part := range [...][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}
