package application

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Checksum is that of a set of events, in whatever order they come: the sum of their SHA-256 digests modulo 2^256 (AdHash:
// Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997). It tells accidents, not adversaries.
type Checksum struct {
	Events int64

	// sum has its lowest word first.
	sum [4]uint64
}

// Add adds an event and returns the first eight bytes of its digest.
func (c *Checksum) Add(event []byte) uint64 {
	digest := sha256.Sum256(event)
	var carry uint64
	for i := range c.sum {
		word := binary.LittleEndian.Uint64(digest[8*i:])
		c.sum[i], carry = bits.Add64(c.sum[i], word, carry)
	}
	c.Events++
	return binary.LittleEndian.Uint64(digest[:])
}

// String returns the sum in hexadecimal.
func (c *Checksum) String() string {
	var b [sha256.Size]byte
	for i, word := range c.sum {
		binary.LittleEndian.PutUint64(b[8*i:], word)
	}
	return hex.EncodeToString(b[:])
}
