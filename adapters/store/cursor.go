package store

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Cursor is the text form of a place in a store that numbers its events in the order in which they are stored.
type Cursor struct {
	Descending bool
	// Seq is the number of the last event that was read.
	Seq int64
}

// cursorFormat is the version of the text's form; the letter tells it from other stores' cursors.
const cursorFormat = "s1"

const cursorBytes = len(cursorFormat) + 1 + 8 + crc32.Size

// String returns the format, the direction, the number and a checksum in base64url.
func (c Cursor) String() string {
	b := append(make([]byte, 0, cursorBytes), cursorFormat...)
	b = append(b, direction(c.Descending))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Seq)) //nolint:gosec // the same bits
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads the text of a cursor of the direction; the error is a [domain.ErrInvalid] at "/cursor".
func ParseCursor(text string, descending bool) (Cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != cursorBytes {
		return Cursor{}, badCursor()
	}
	seq := binary.BigEndian.Uint64(b[len(cursorFormat)+1:])
	c := Cursor{Descending: b[len(cursorFormat)] == direction(true), Seq: int64(seq)} //nolint:gosec // the same bits
	if c.String() != text {
		return Cursor{}, badCursor()
	}
	if c.Descending != descending {
		return Cursor{}, domain.Invalid("/cursor", "belongs to the other order")
	}
	return c, nil
}

func direction(descending bool) byte {
	if descending {
		return 'd'
	}
	return 'a'
}

func badCursor() error {
	return domain.Invalid("/cursor", "is not a cursor of an earlier answer")
}
