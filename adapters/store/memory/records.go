package memory

import "encoding/binary"

// records keeps texts one behind the other, each with its length in front.
type records struct{ bytes arena[byte] }

// chunkBits is for the chunks of the events' records.
const (
	chunkBits = 20
	chunkSize = 1 << chunkBits
)

// add copies text and returns its address.
func (r *records) add(text []byte) uint64 {
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(text)))
	addr, room := r.bytes.alloc(n + len(text))
	copy(room, head[:n])
	copy(room[n:], text)
	return addr
}

// fits says whether events of that many bytes together still have addresses, wherever they fall.
func (r *records) fits(events, total int) bool {
	chunks := len(r.bytes.chunks) + 2*events + total/chunkSize
	return chunks < 1<<(addressBits-chunkBits)
}

func (r *records) view() recordView { return recordView{r.bytes.view()} }

// recordView is what a reader sees of records.
type recordView struct{ bytes view[byte] }

// record returns the text at the address; appending to it does not touch what stands behind.
func (v recordView) record(addr uint64) []byte {
	b := v.bytes.from(addr)
	if size := int(b[0]); size < 0x80 {
		return b[1 : 1+size : 1+size]
	}
	size, n := binary.Uvarint(b)
	end := n + int(size) //nolint:gosec // the length of a slice
	return b[n:end:end]
}
