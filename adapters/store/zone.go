package store

import (
	"encoding/binary"
	"errors"
	"math"
)

// Zone says which seconds the timestamps of some events lie in, or a little more: a few spans, so that a clock that is far
// off among those of a zone does not make it look as if it held everything in between. The zero value is that of no
// events.
type Zone struct {
	spans []span
}

// span is from its first second to its last one.
type span struct{ first, last int64 }

const (
	// maxSpans is how many clocks far off a zone can bear, besides the right one.
	maxSpans = 8
	// spanGap joins spans that are so near, in seconds, that it is not worth telling them apart.
	spanGap = 64
)

// Add takes in a timestamp, in seconds since 1970.
func (z *Zone) Add(second int64) { z.add(span{second, second}) }

// Include takes in all of another zone.
func (z *Zone) Include(other Zone) {
	for _, s := range other.spans {
		z.add(s)
	}
}

func (z *Zone) add(s span) {
	for _, known := range z.spans {
		if known.first <= s.first && s.last <= known.last {
			return
		}
	}
	// A zone that was handed out keeps its spans.
	merged := make([]span, 0, len(z.spans)+1)
	for _, known := range z.spans {
		switch {
		case known.last < s.first-spanGap:
			merged = append(merged, known)
		case known.first <= s.last+spanGap:
			s = span{min(s.first, known.first), max(s.last, known.last)}
		default:
			merged = append(merged, s)
			s = known
		}
	}
	z.spans = join(append(merged, s))
}

// join closes the smallest gap when there are too many spans.
func join(spans []span) []span {
	if len(spans) <= maxSpans {
		return spans
	}
	at, least := 1, int64(math.MaxInt64)
	for i := 1; i < len(spans); i++ {
		if gap := spans[i].first - spans[i-1].last; gap < least {
			at, least = i, gap
		}
	}
	spans[at-1].last = spans[at].last
	return append(spans[:at], spans[at+1:]...)
}

// Overlaps says whether an event of the zone may have a timestamp from the first second to the last one.
func (z Zone) Overlaps(first, last int64) bool {
	for _, s := range z.spans {
		if s.first <= last && first <= s.last {
			return true
		}
	}
	return false
}

// Within says whether every event of the zone has a timestamp from the first second to the last one; an empty zone has
// none that has not.
func (z Zone) Within(first, last int64) bool {
	n := len(z.spans)
	return n == 0 || first <= z.spans[0].first && z.spans[n-1].last <= last
}

// AppendZones writes zones behind b, in a form that [ParseZones] reads.
func AppendZones(b []byte, zones []Zone) []byte {
	last := int64(0)
	for _, z := range zones {
		b = append(b, byte(len(z.spans))) //nolint:gosec // maxSpans at most
		for _, s := range z.spans {
			b = binary.AppendVarint(b, s.first-last)
			b = binary.AppendUvarint(b, uint64(s.last-s.first)) //nolint:gosec // not negative
			last = s.last
		}
	}
	return b
}

var errZones = errors.New("not the zones of a store")

// ParseZones reads what [AppendZones] has written.
func ParseZones(b []byte) ([]Zone, error) {
	zones, last := make([]Zone, 0, ZoneFanOut), int64(0)
	all := make([]span, 0, len(b)/2) // each takes two bytes at least
	for len(b) > 0 {
		begin, spans := len(all), int(b[0])
		b = b[1:]
		for range spans {
			step, n := binary.Varint(b)
			if n <= 0 {
				return nil, errZones
			}
			length, m := binary.Uvarint(b[n:])
			if m <= 0 {
				return nil, errZones
			}
			b = b[n+m:]
			first := last + step
			last = first + int64(length) //nolint:gosec // the same bits
			all = append(all, span{first, last})
		}
		zones = append(zones, Zone{all[begin:len(all):len(all)]})
	}
	return zones, nil
}
