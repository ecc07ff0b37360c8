package memory

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"

	"github.com/netstreamflow/netstreamflow/domain"
)

// contents is all that a store holds: columns and indexes that only grow. The writer adds an event to each of them and
// then raises count, which publishes it; a reader takes count first and looks at nothing beyond. What a reader meets in an
// index of an event that is not yet counted it passes over.
type contents struct {
	count atomic.Uint32

	records records
	rows    arena[row]
	zones   arena[zone]
	// zone is that of the last events, which is not full.
	zone zone

	ids   index
	seed  maphash.Seed
	users *terms
	types *terms

	// partitions are in the order of their first events, which is that of their ordinals.
	partitions atomic.Pointer[[]*partition]
	positions  arena[uint32]
	ordinals   map[int32]int

	maxEvents uint32
}

// maxEvents keeps every address in a word: an event takes less than four words in each arena of them.
const maxEvents = 1 << 30

func newContents() *contents {
	c := &contents{
		seed:      maphash.MakeSeed(),
		ordinals:  make(map[int32]int),
		maxEvents: maxEvents,
	}
	c.records.bytes.bits = chunkBits
	c.rows.bits, c.zones.bits, c.positions.bits = 12, 10, 16
	c.users, c.types = newTerms(), newTerms()
	return c
}

// snapshot is the contents as of one moment.
type snapshot struct {
	count      uint32
	records    recordView
	rows       view[row]
	zones      view[zone]
	partitions []*partition
}

func (c *contents) view() *snapshot {
	count := c.count.Load()
	// All else is looked up after the count: it then holds at least what is counted.
	s := &snapshot{count: count, records: c.records.view(), rows: c.rows.view(), zones: c.zones.view()}
	if p := c.partitions.Load(); p != nil {
		s.partitions = *p
	}
	return s
}

func (s *snapshot) row(seq uint32) row { return *s.rows.at(uint64(seq)) }

func (s *snapshot) json(seq uint32) []byte { return s.records.record(s.row(seq).address()) }

// idHead is what the JSON of every event begins with, before the text of its id: the id needs no place of its own.
const idHead = `{"eventId":"`

// identity returns the hash of the id of an event and the beginning of its JSON, which tells it from all others. The hash
// has a seed because ids come from outside: nobody can choose ones that collide.
func (c *contents) identity(id domain.UUID) (hash uint32, head []byte) {
	head = append(make([]byte, 0, idEnd), idHead...)
	return c.hash(id), append(head, id.String()...)
}

func (c *contents) hash(id domain.UUID) uint32 {
	return uint32(maphash.Bytes(c.seed, id[:]) >> 32)
}

const idEnd = len(idHead) + 36

// find returns the event with that identity among the first count ones.
func (c *contents) find(hash uint32, head []byte, count uint32) (seq uint32, ok bool) {
	return c.ids.find(hash, func(seq uint32) bool {
		return seq < count && bytes.HasPrefix(c.json(seq), head)
	})
}

func (c *contents) json(seq uint32) []byte {
	return c.records.view().record(c.rows.view().at(uint64(seq)).address())
}
