package memory

import "time"

// row is what a query needs of an event beside its bytes, in 16 bytes: the address of the bytes, the partition and the
// time. The time takes 69 bits, so its lowest 8 stand with the address.
type row struct {
	// place is, from the top, 40 bits of address, 16 of partition, 8 of time.
	place uint64
	time  uint64
}

const (
	addressBits   = 40
	partitionBits = 16
	timeBits      = 8

	maxPartitions = 1 << partitionBits
)

func newRow(addr uint64, partition int, t stamp) row {
	return row{addr<<(partitionBits+timeBits) | uint64(partition)<<timeBits | uint64(t.low), t.high} //nolint:gosec // an ordinal
}

func (r row) address() uint64 { return r.place >> (partitionBits + timeBits) }

// partition returns the ordinal of the partition in this store.
func (r row) partition() int { return int(r.place >> timeBits & (1<<partitionBits - 1)) }

func (r row) stamp() stamp { return stamp{r.time, uint8(r.place)} } //nolint:gosec // the lowest byte

// stamp is a time in the years 0000 to 9999 to the nanosecond, which is more than the 64 bits of time.Time.UnixNano hold:
// the seconds since the first of them (39 bits) and the nanoseconds (30 bits), of which the lowest 8 are low.
type stamp struct {
	high uint64
	low  uint8
}

var (
	firstSecond = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	endSecond   = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
)

// stampOf returns the time's stamp; a time before or behind the years that events have is the nearest one before or behind
// all events.
func stampOf(t time.Time) stamp {
	seconds, nanos := t.Unix(), uint64(t.Nanosecond()) //nolint:gosec // 0 to 999,999,999
	if seconds < firstSecond {
		return stamp{}
	}
	if seconds >= endSecond {
		seconds, nanos = endSecond, 0
	}
	return stamp{uint64(seconds-firstSecond)<<22 | nanos>>8, uint8(nanos)} //nolint:gosec // not negative; the lowest byte
}

func (s stamp) before(t stamp) bool {
	return s.high < t.high || s.high == t.high && s.low < t.low
}

// zone is the span of the times of zoneRows neighbouring events. Most events come in about the order of their times, so a
// query for a span of time passes over nearly all zones that have nothing for it.
type zone struct{ first, last stamp }

const zoneRows = 1024

// add widens the zone by the time of the event seq.
func (z *zone) add(seq uint32, t stamp) {
	if seq%zoneRows == 0 {
		*z = zone{t, t}
		return
	}
	if t.before(z.first) {
		z.first = t
	}
	if z.last.before(t) {
		z.last = t
	}
}
