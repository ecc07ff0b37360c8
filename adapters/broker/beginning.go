package broker

import (
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// NoPlace stands for the place of one that has none.
const NoPlace int64 = -1

// Beginning returns where a partition is to be begun: at the earliest of the places of those who take from it. One place that
// is not in the log, or is [NoPlace], makes it the first record.
func Beginning(b application.Bounds, places ...int64) int64 {
	begin := b.Next
	for _, place := range places {
		if !InLog(b, place) {
			return b.First
		}
		begin = min(begin, place)
	}
	return begin
}

// InLog tells whether a partition can go on at the place: retention may have removed it, or the topic was made anew and does
// not reach it yet. [NoPlace] is in no log.
func InLog(b application.Bounds, place int64) bool {
	return place != NoPlace && place >= b.First && place <= b.Next
}

// PlaceOf returns the partition's place, [NoPlace] where there is none.
func PlaceOf(places map[int32]int64, partition int32) int64 {
	if place, known := places[partition]; known {
		return place
	}
	return NoPlace
}

// KafkaTime returns the time in milliseconds, as Kafka looks it up: records have no finer times, and negative numbers mean
// something else.
func KafkaTime(at time.Time) int64 {
	return max(0, at.Add(time.Millisecond-1).UnixMilli())
}
