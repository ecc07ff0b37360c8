package application

import (
	"strconv"
	"strings"
	"time"
)

// Headers of a record that was a dead letter and has been requeued.
const (
	// HeaderOrigin tells where the record stood at first, as [Place.String] has it, and HeaderOriginTime when it was made, in
	// RFC 3339.
	HeaderOrigin     = "netstreamflow-origin"
	HeaderOriginTime = "netstreamflow-origin-time"
	// HeaderRequeues tells how often it has been requeued, HeaderAttempts how often it had been tried before.
	HeaderRequeues = "netstreamflow-requeues"
	HeaderAttempts = "netstreamflow-attempts"
)

// Place is where a record stands. The zero value, without a topic, is nowhere.
type Place struct {
	Topic string
	Position
}

// String is topic/partition/offset.
func (p Place) String() string {
	return p.Topic + "/" + strconv.Itoa(int(p.Partition)) + "/" + strconv.FormatInt(p.Offset, 10)
}

// ParsePlace reads what [Place.String] has written.
func ParsePlace(s string) (p Place, ok bool) {
	rest, offset := cutLast(s)
	topic, partition := cutLast(rest)
	return placeOf(topic, partition, offset)
}

// cutLast cuts at the last slash.
func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	return s[:max(i, 0)], s[i+1:]
}

// placeOf reads the numbers of a place.
func placeOf(topic, partition, offset string) (p Place, ok bool) {
	n, errPartition := strconv.ParseInt(partition, 10, 32)
	at, errOffset := strconv.ParseInt(offset, 10, 64)
	if topic == "" || errPartition != nil || errOffset != nil || n < 0 || at < 0 {
		return Place{}, false
	}
	return Place{Topic: topic, Position: Position{Partition: int32(n), Offset: at}}, true
}

// first tells where and when the record of the origin and the headers was made: it may have been requeued since.
func first(o Origin, headers map[string]string) (Place, time.Time) {
	place, at := Place{Topic: o.Topic, Position: o.Position}, o.Time
	if p, ok := ParsePlace(headers[HeaderOrigin]); ok {
		place = p
		if t, err := time.Parse(time.RFC3339Nano, headers[HeaderOriginTime]); err == nil {
			at = t
		}
	}
	return place, at
}
