package memory

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// chain is a growing list of ascending numbers: the events of one user, of one type, of one partition.
//
// Its blocks of 2, 4, 8 … 256, 256 … numbers lie in an arena of words. Small first blocks keep the many short lists small;
// the equal later ones bound what is unused. Blocks are linked backwards only: nothing that a reader can reach is ever
// written again, so that a pair of count and last block is a snapshot. Besides the link to the block before it, each block
// has one that leaps further back (Myers, "An applicative random-access stack", 1983), which makes every block
// reachable in O(log n) steps: a walk in either direction, and a search, need no other structure.
type chain struct {
	// state is the count in the upper half and the address of the last block in the lower one.
	state atomic.Uint64
}

const (
	maxBlock = 256
	// linear is how many numbers the blocks hold that are smaller than maxBlock.
	linear       = maxBlock - 2
	linearBlocks = 7
	linkWords    = 2
)

// blockOf returns the number of the block that holds the i-th entry.
func blockOf(i uint32) uint32 {
	if i < linear {
		return uint32(bits.Len32(i+2) - 2) //nolint:gosec // 0 to 6
	}
	return linearBlocks + (i-linear)/maxBlock
}

// startOf returns which entry is the first of a block.
func startOf(block uint32) uint32 {
	if block < linearBlocks {
		return 2<<block - 2
	}
	return linear + (block-linearBlocks)*maxBlock
}

func sizeOf(block uint32) uint32 { return 2 << min(block, linearBlocks) }

// links returns how many words stand before a block's entries: the first block has nothing to link to.
func links(block uint32) uint32 {
	if block == 0 {
		return 0
	}
	return linkWords
}

// leap returns how many blocks the long link of a block goes back: the smallest term when the block's number is written
// greedily as a sum of 2^k-1.
func leap(block uint32) uint32 {
	for {
		term := uint32(1)<<(bits.Len32(block+1)-1) - 1
		if term == block {
			return term
		}
		block -= term
	}
}

// append adds v, which must be above all that is there. Only the writer calls it.
func (c *chain) append(words *arena[uint32], v uint32) {
	l := c.list(words)
	block := blockOf(l.count)
	if l.count == startOf(block) {
		l.last = link(words, l, block)
		l.words = words.view()
	}
	*l.words.at(uint64(l.last + links(block) + l.count - startOf(block))) = v
	c.state.Store(uint64(l.count+1)<<32 | uint64(l.last))
}

// link makes a block behind the last one of l.
func link(words *arena[uint32], l list, block uint32) uint32 {
	addr, room := words.alloc(int(links(block) + sizeOf(block)))
	if block > 0 {
		last := node{l.last, block - 1}
		room[0], room[1] = l.last, l.last
		if leap(block) > 1 {
			room[1] = l.leap(l.leap(last)).addr
		}
	}
	return uint32(addr) //nolint:gosec // maxEvents keeps the words of an arena below 2^32
}

// list returns a snapshot.
func (c *chain) list(words *arena[uint32]) list {
	state := c.state.Load()
	// The words are looked up after the state: they then hold all that it leads to.
	return list{words.view(), uint32(state >> 32), uint32(state)} //nolint:gosec // the two halves
}

// list is a chain as of one moment.
type list struct {
	words       view[uint32]
	count, last uint32
}

// node is a block: its address and its number.
type node struct{ addr, block uint32 }

func (l list) prev(n node) node { return node{*l.words.at(uint64(n.addr)), n.block - 1} }
func (l list) leap(n node) node {
	return node{*l.words.at(uint64(n.addr) + 1), n.block - leap(n.block)}
}

// entries returns what is filled of a block.
func (l list) entries(n node) []uint32 {
	words := l.words.from(uint64(n.addr + links(n.block)))
	return words[:min(sizeOf(n.block), l.count-startOf(n.block))]
}

// holding returns the entries of the block that holds the i-th one, and its index in them.
func (l list) holding(i uint32) (entries []uint32, index int) {
	block := blockOf(i)
	n := node{l.last, blockOf(l.count - 1)}
	for n.block > block {
		if n.block-leap(n.block) >= block {
			n = l.leap(n)
		} else {
			n = l.prev(n)
		}
	}
	return l.entries(n), int(i - startOf(block))
}

// at returns the i-th entry.
func (l list) at(i uint32) uint32 {
	entries, index := l.holding(i)
	return entries[index]
}

// rank returns how many entries are below v.
func (l list) rank(v uint32) uint32 {
	if l.count == 0 {
		return 0
	}
	n := node{l.last, blockOf(l.count - 1)}
	for n.block > 0 && l.entries(n)[0] >= v {
		if far := l.leap(n); l.entries(far)[0] >= v {
			n = far
		} else {
			n = l.prev(n)
		}
	}
	index, _ := slices.BinarySearch(l.entries(n), v)
	return startOf(n.block) + uint32(index) //nolint:gosec // an index of a block
}
