package storetest

import (
	"context"
	"maps"

	"github.com/netstreamflow/netstreamflow/application"
)

// testPositions checks that positions are kept with the events, per topic, and follow what was recorded last: a topic that
// was made anew starts over.
func testPositions(s *stage) {
	s.positions("unknown", nil)
	want := map[int32]int64{}
	for range 5 {
		entries := s.log.entries(20)
		s.record(entries...)
		maps.Copy(want, batchOf(entries...).Taken)
		s.positions(topic, want)
	}
	if added, err := s.store.Record(s.Context(), batchOf(s.stored[:7]...)); added != 0 || err != nil {
		s.Fatalf("Record of what is there: %d, %v", added, err)
	}
	maps.Copy(want, batchOf(s.stored[:7]...).Taken)
	s.positions(topic, want)
	s.take(application.Batch{Topic: topic, Taken: map[int32]int64{2: 1 << 40, 77: 5}})
	want[2], want[77] = 1<<40, 5
	s.positions(topic, want)
	s.take(application.Batch{Topic: "other", Taken: map[int32]int64{2: 9}})
	s.positions(topic, want)
	s.positions("other", map[int32]int64{2: 9})
	s.expect(application.Query{}, s.stored)
}

// testPositionsAllOrNone provokes a failure: neither events nor positions may be there.
func testPositionsAllOrNone(s *stage) {
	s.fill(10)
	before, err := s.store.Positions(s.Context(), topic)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if added, err := s.store.Record(ctx, batchOf(s.log.entries(5)...)); err == nil || added != 0 {
		s.Errorf("Record with a cancelled context: %d, %v", added, err)
	}
	s.positions(topic, before)
	s.expect(application.Query{}, s.stored)
}

// take records positions without events.
func (s *stage) take(b application.Batch) {
	s.Helper()
	if added, err := s.store.Record(s.Context(), b); added != 0 || err != nil {
		s.Fatalf("Record of positions alone: %d, %v", added, err)
	}
}

func (s *stage) positions(topic string, want map[int32]int64) {
	s.Helper()
	got, err := s.store.Positions(s.Context(), topic)
	if err != nil || !maps.Equal(got, want) {
		s.Errorf("positions of topic %q: %v, %v; want %v", topic, got, err, want)
	}
}
