package memory

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/netstreamflow/netstreamflow/domain"
)

// cursor is the place between two events of an order, as positions in the log: those are the same on every instance and
// after every restart, whereas the interleaving of the partitions is not. Inside a partition events are stored in the order
// of their offsets, so on either side of the place there is a prefix of each partition and its rest.
type cursor struct {
	descending bool
	// last holds the offset of the last event of each partition's prefix. Ascending, what is behind it is still to come, and
	// a partition that is not there is still to come as a whole. Descending, the prefix is still to come, and a partition
	// that is not there has nothing to come: so what is stored after the first page never comes up.
	last map[int32]int64
}

// cursorFormat is the version of the text's form; the letter tells it from other stores' cursors.
const cursorFormat = "m1"

const (
	ascendingMark  = 'a'
	descendingMark = 'd'
	// maxCursor bounds the work of refusing nonsense: a cursor of 2^16 partitions is shorter.
	maxCursor = 2 << 20
)

// String returns the text form: format, direction, the partitions with their offsets as differences from one to the next,
// a checksum, all in base64url.
func (c cursor) String() string {
	b := append(make([]byte, 0, 64), cursorFormat...)
	mark := byte(ascendingMark)
	if c.descending {
		mark = descendingMark
	}
	b = append(b, mark)
	var partition int32
	var offset int64
	for _, p := range slices.Sorted(maps.Keys(c.last)) {
		b = binary.AppendVarint(b, int64(p)-int64(partition))
		b = binary.AppendVarint(b, c.last[p]-offset) // may wrap around, as does the sum
		partition, offset = p, c.last[p]
	}
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads the text of a cursor of the direction.
func parseCursor(text string, descending bool) (cursor, error) {
	if len(text) > maxCursor {
		return cursor{}, badCursor()
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	// Encoding again finds the line breaks that the decoder passes over, and bits that mean nothing.
	const least = len(cursorFormat) + 1 + crc32.Size
	if err != nil || len(b) < least || base64.RawURLEncoding.EncodeToString(b) != text {
		return cursor{}, badCursor()
	}
	body, sum := b[:len(b)-crc32.Size], b[len(b)-crc32.Size:]
	if string(body[:len(cursorFormat)]) != cursorFormat || binary.BigEndian.Uint32(sum) != crc32.ChecksumIEEE(body) {
		return cursor{}, badCursor()
	}
	mark := body[len(cursorFormat)]
	if mark != ascendingMark && mark != descendingMark {
		return cursor{}, badCursor()
	}
	if (mark == descendingMark) != descending {
		return cursor{}, domain.Invalid("/cursor", "belongs to the other order")
	}
	last, ok := readOffsets(body[len(cursorFormat)+1:])
	if !ok {
		return cursor{}, badCursor()
	}
	return cursor{descending, last}, nil
}

func badCursor() error {
	return domain.Invalid("/cursor", "is not a cursor of an earlier answer")
}

func readOffsets(b []byte) (last map[int32]int64, ok bool) {
	last = make(map[int32]int64)
	var partition, offset int64
	for len(b) > 0 {
		ahead, n := binary.Varint(b)
		if n <= 0 {
			return nil, false
		}
		further, m := binary.Varint(b[n:])
		if m <= 0 {
			return nil, false
		}
		b = b[n+m:]
		partition, offset = partition+ahead, offset+further
		if partition < math.MinInt32 || partition > math.MaxInt32 || len(last) > 0 && ahead <= 0 {
			return nil, false
		}
		last[int32(partition)] = offset
	}
	return last, true
}
