package memory

import "sync/atomic"

// arena hands out room for values in large chunks that never move, so that an address stays good for ever and the garbage
// collector has one pointer to follow for thousands of values. There is one writer and any number of readers; a reader
// may look at a value once something that was stored atomically after it (a count, the head of a chain) has told it so.
type arena[T any] struct {
	bits uint
	// chunks is the writer's; published is the same as of the last chunk. Appending in place is safe: a reader's slice
	// ends before the new element.
	chunks    [][]T
	published atomic.Pointer[[][]T]
	// next is the address of the free room in the open chunk, left how many values fit.
	next uint64
	left int
}

// alloc returns room for n values and its address. What is large gets a chunk to itself, so that the rest of the open one
// is not lost and no value is too large.
func (a *arena[T]) alloc(n int) (addr uint64, room []T) {
	size := 1 << a.bits
	if n > size/8 {
		addr = a.add(make([]T, n))
		return addr, a.view().from(addr)
	}
	if n > a.left {
		a.next, a.left = a.add(make([]T, size)), size
	}
	addr = a.next
	a.next += uint64(n) //nolint:gosec // a length
	a.left -= n
	return addr, a.view().from(addr)[:n:n]
}

// add makes the chunk addressable; one of more than 2^bits values takes up the addresses that follow, too.
func (a *arena[T]) add(chunk []T) uint64 {
	addr := uint64(len(a.chunks)) << a.bits
	a.chunks = append(a.chunks, chunk)
	for covered := 1 << a.bits; covered < len(chunk); covered += 1 << a.bits {
		a.chunks = append(a.chunks, nil)
	}
	chunks := a.chunks
	a.published.Store(&chunks)
	return addr
}

// view returns what is there now.
func (a *arena[T]) view() view[T] {
	chunks := a.published.Load()
	if chunks == nil {
		return view[T]{}
	}
	return view[T]{*chunks, a.bits}
}

// view is what a reader sees of an arena.
type view[T any] struct {
	chunks [][]T
	bits   uint
}

// from returns the values from the address to the end of its chunk.
func (v view[T]) from(addr uint64) []T {
	return v.chunks[addr>>v.bits][addr&(1<<v.bits-1):]
}

// at returns the place of the value at the address.
func (v view[T]) at(addr uint64) *T {
	return &v.chunks[addr>>v.bits][addr&(1<<v.bits-1)]
}
