package memory

import (
	"hash/maphash"
)

// terms are the users, or the types, with the events of each. They hold no Go strings: names lie close together as
// records, so that millions of users are no pointers for the garbage collector and no name pins a request's body.
type terms struct {
	seed  maphash.Seed
	index index
	terms arena[term]
	words arena[uint32]
	names records
}

type term struct {
	events chain
	name   uint64
}

func newTerms() *terms {
	t := &terms{seed: maphash.MakeSeed()}
	t.terms.bits, t.words.bits, t.names.bytes.bits = 12, 16, 16
	return t
}

// events returns the events of the name, none when it is unknown.
func (t *terms) events(name string) list {
	found := t.find(t.hash(name), name)
	if found == nil {
		return list{}
	}
	return found.events.list(&t.words)
}

func (t *terms) find(hash uint32, name string) *term {
	number, ok := t.index.find(hash, func(number uint32) bool {
		return string(t.names.view().record(t.terms.view().at(uint64(number)).name)) == name
	})
	if !ok {
		return nil
	}
	return t.terms.view().at(uint64(number))
}

// add notes an event of the name. Only the writer calls it.
func (t *terms) add(name string, seq uint32) {
	hash := t.hash(name)
	found := t.find(hash, name)
	if found == nil {
		addr, room := t.terms.alloc(1)
		found = &room[0]
		found.name = t.names.add([]byte(name))
		t.index.insert(hash, uint32(addr)) //nolint:gosec // there are not more names than events
	}
	found.events.append(&t.words, seq)
}

func (t *terms) hash(name string) uint32 { return uint32(maphash.String(t.seed, name) >> 32) }
