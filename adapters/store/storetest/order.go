package storetest

import (
	"bytes"
	"fmt"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func testEmpty(s *stage) {
	for _, q := range []application.Query{
		{}, {Descending: true}, {Limit: 1}, {Limit: 10, Descending: true},
		{UserID: userOf(1)}, {EventType: typeOf(1), Limit: 3}, {From: epoch}, {To: epoch, Descending: true},
	} {
		s.expect(q, nil)
	}
}

func testOrder(s *stage) {
	s.fill(500)
	s.expect(application.Query{}, s.stored)
	descending := application.Query{Descending: true}
	s.expect(descending, selected(s.stored, descending))
}

// testExactBytes stores what a store that parses and prints would change.
func testExactBytes(s *stage) {
	for _, metadata := range []string{
		`{}`, `{"b":1,"a":2}`, `{"n":1.50,"m":1e400,"i":12345678901234567890123,"z":-0}`,
		`{"html":"<a href=\"x\">&amp;</a>","slash":"a\/b","escaped":"\u00fc\n\u0000"}`,
		`{"":{"":[]},"deep":[[[[[[{"x":null}]]]]]],"t":[true,false]}`,
		`{"text":"ü 日本 🎉 \ud83c\udf89"}`,
	} {
		s.record(s.log.decoded(`{"userId":"u","eventType":"t","metadata":` + metadata + `}`))
	}
	s.expect(application.Query{}, s.stored)
	for _, e := range s.stored {
		s.hasEvent(e)
	}
}

func (s *stage) hasEvent(e application.Entry) {
	s.Helper()
	got, err := s.store.Event(s.Context(), e.Event.ID())
	if err != nil || !bytes.Equal(got, e.Event.JSON()) {
		s.Fatalf("event %s: got %.300q, %v; want %.300q", e.Event.ID(), got, err, e.Event.JSON())
	}
}

// testLargeEvents mixes events around every size that a store may find special, up to over 1 MiB.
func testLargeEvents(s *stage) {
	for i, size := range []int{
		1, 100, 127, 128, 1 << 10, 4 << 10, 16<<10 - 200, 16 << 10, 64 << 10, 2, 127 << 10, 128 << 10, 129 << 10,
		500 << 10, 3, 1<<20 - 200, 1 << 20, 4, 1<<20 + 1, 3 << 20, 5,
	} {
		s.record(s.log.entry(domain.Draft{
			UserID: userOf(i % 3), EventType: typeOf(i % 2),
			Metadata: fmt.Appendf(nil, `{"i":%d,"blob":"%s"}`, i, bytes.Repeat([]byte{'a' + byte(i)}, size)),
		}))
	}
	s.expect(application.Query{}, s.stored)
	for _, e := range s.stored {
		s.hasEvent(e)
	}
	q := application.Query{UserID: userOf(1), Descending: true}
	s.expect(q, selected(s.stored, q))
}

func testEmptyBatch(s *stage) {
	for _, entries := range [][]application.Entry{nil, {}} {
		added, err := s.store.Record(s.Context(), batchOf(entries...))
		if added != 0 || err != nil {
			s.Errorf("Record of nothing: %d, %v", added, err)
		}
	}
	s.expect(application.Query{}, nil)
}

// testOffsetsStartOver is a topic that was deleted and made anew while the store lived: nothing may be lost.
func testOffsetsStartOver(s *stage) {
	s.fill(100)
	s.log = newLog(4)
	s.log.made = 100
	s.fill(100)
	s.expect(application.Query{}, s.stored)
	for _, descending := range []bool{false, true} {
		q := application.Query{Descending: descending, Limit: 7}
		s.same(describe(q), s.pages(q), texts(selected(s.stored, q)))
	}
}
