package storetest

import (
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// bothWays checks a query upwards and downwards, as a whole and in pages.
func (s *stage) bothWays(q application.Query) {
	s.Helper()
	for _, q.Descending = range []bool{false, true} {
		want := selected(s.stored, q)
		s.expect(q, want)
		paged := q
		paged.Limit = 1 + len(want)/3
		s.same("pages of "+describe(paged), s.pages(paged), texts(want))
	}
}

func testUserAndType(s *stage) {
	s.fill(1500)
	s.record(s.log.entry(domain.Draft{UserID: "once", EventType: "rare"}))
	s.fill(1500)
	s.record(s.log.entry(domain.Draft{UserID: "once", EventType: typeOf(0)}))
	for _, user := range []string{"", userOf(0), userOf(1), userOf(5), "once", "nobody", "User-0", "user-"} {
		for _, eventType := range []string{"", typeOf(0), typeOf(1), "rare", "none", userOf(0)} {
			s.bothWays(application.Query{UserID: user, EventType: eventType})
		}
	}
}

// testOddNames stores names that paths, patterns, queries and collations may take for others.
func testOddNames(s *stage) {
	names := []string{
		"a/b", "..", ".", "/", "ü ñ", "u\u0308 n\u0303", "%", "%2F", "_", "a_b", "a%b", "'", `"`, `\`, "`", "''", "; drop table events; --",
		"日本", "🎉", "a", "A", "a ", " a", "á", "\u00a0", "null", "true", "0", "00", "-0", "1e0", "\u200b", "\ufeff", "\U0010ffff",
		strings.Repeat("x", domain.MaxEventTypeBytes), strings.Repeat("日", domain.MaxEventTypeBytes/3),
	}
	longest := []string{strings.Repeat("y", domain.MaxUserIDBytes), strings.Repeat("y", domain.MaxUserIDBytes-1)}
	for range 3 {
		for i, name := range names {
			s.record(s.log.entry(domain.Draft{UserID: name, EventType: names[len(names)-1-i]}))
		}
		for _, name := range longest {
			s.record(s.log.entry(domain.Draft{UserID: name, EventType: "t"}))
		}
	}
	for i, name := range names {
		s.bothWays(application.Query{UserID: name})
		s.bothWays(application.Query{EventType: name})
		s.bothWays(application.Query{UserID: name, EventType: names[len(names)-1-i]})
	}
	for _, name := range longest {
		s.bothWays(application.Query{UserID: name})
	}
	s.expect(application.Query{}, s.stored)
}

func testFromTo(s *stage) {
	s.fill(1500)
	// Neighbours by the nanosecond, not in the order of time.
	for _, nanos := range []int{5, 1, 999_999_999, 0, 255, 256, 257, 2, 1} {
		s.record(s.log.entry(domain.Draft{UserID: userOf(0), EventType: typeOf(0), Timestamp: epoch.Add(time.Duration(nanos))}))
	}
	s.fill(1700)
	for _, nanos := range []int{0, 1, 2, 3, 5, 6, 255, 256, 257, 258, 999_999_999, 1_000_000_000} {
		at := epoch.Add(time.Duration(nanos))
		s.bothWays(application.Query{From: at})
		s.bothWays(application.Query{To: at})
		s.bothWays(application.Query{From: at, To: at.Add(2)})
		s.bothWays(application.Query{From: at, To: at.Add(2), UserID: userOf(0)})
	}
	// Where stores may have blocks.
	for _, i := range []int{255, 256, 257, 1000, 1023, 1024, 1025, 1499, 1500, 2047, 2048, 2049} {
		s.bothWays(application.Query{From: epoch.Add(time.Duration(i) * time.Second)})
		s.bothWays(application.Query{To: epoch.Add(time.Duration(i) * time.Second)})
	}
	middle := epoch.Add(2000 * time.Second)
	for _, q := range []application.Query{
		{From: middle}, {To: middle}, {From: middle, To: middle}, {From: middle, To: middle.Add(-1)},
		{From: middle, To: middle.Add(time.Minute)}, {From: middle.Add(-time.Hour), To: middle},
		{From: middle.In(time.FixedZone("", -3600)), To: middle.Add(time.Hour).In(time.FixedZone("", 7200))},
	} {
		for _, q.UserID = range []string{"", userOf(1)} {
			for _, q.EventType = range []string{"", typeOf(1)} {
				s.bothWays(q)
			}
		}
	}
}

// testExtremeYears has times that do not fit into 64 bits of nanoseconds, and bounds beyond all events.
func testExtremeYears(s *stage) {
	stamps := []string{
		"0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000001Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000001Z",
		"1677-09-21T00:12:43.145224192Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z", "2262-04-11T23:47:16.854775808Z",
		"9999-12-31T23:59:59.999999998Z", "9999-12-31T23:59:59.999999999Z",
	}
	var bounds []time.Time
	for _, stamp := range stamps {
		e := s.log.decoded(`{"userId":"u","eventType":"t","timestamp":"` + stamp + `"}`)
		s.record(e)
		bounds = append(bounds, e.Event.Timestamp(), e.Event.Timestamp().Add(1))
	}
	bounds = append(bounds, time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 1, time.UTC))
	for _, from := range bounds {
		s.bothWays(application.Query{From: from})
		s.bothWays(application.Query{To: from})
		for _, to := range bounds {
			s.bothWays(application.Query{From: from, To: to})
		}
	}
}
