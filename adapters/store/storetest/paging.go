package storetest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// pages follows the cursors from q to the end and returns all events.
func (s *stage) pages(q application.Query) []string {
	s.Helper()
	return s.pagesWith(q, func() {})
}

// pagesWith is pages, with something to do before each one.
func (s *stage) pagesWith(q application.Query, do func()) (all []string) {
	s.Helper()
	for {
		do()
		events, next := s.page(q)
		all = append(all, events...)
		if next == "" {
			return all
		}
		if len(events) != q.Limit || len(all) > len(s.stored) {
			s.Fatalf("%s: a page of %d events, %d so far of %d, and more follow", describe(q), len(events), len(all), len(s.stored))
		}
		q.Cursor = next
	}
}

// variants returns queries of every combination of filters and direction over what [stage.fill] stores.
func variants() (all []application.Query) {
	for _, user := range []string{"", userOf(1), userOf(4)} {
		for _, eventType := range []string{"", typeOf(1)} {
			for _, q := range []application.Query{{}, {From: epoch.Add(10 * time.Second)}, {To: epoch.Add(170 * time.Second)}} {
				q.UserID, q.EventType = user, eventType
				all = append(all, q)
				q.Descending = true
				all = append(all, q)
			}
		}
	}
	return all
}

func testPaging(s *stage) {
	s.fill(200)
	for _, q := range variants() {
		want := texts(selected(s.stored, q))
		for _, q.Limit = range []int{1, 3, 7, 50, 1000} {
			s.same(describe(q), s.pages(q), want)
		}
	}
}

// testPageEnds looks at pages that end at, before and behind the last event.
func testPageEnds(s *stage) {
	s.fill(100)
	for _, q := range variants() {
		n := len(selected(s.stored, q))
		for _, limit := range []int{n - 1, n, n + 1} {
			if limit < 1 {
				continue
			}
			q.Limit = limit
			events, next := s.page(q)
			if len(events) != min(n, limit) || (next != "") != (limit < n) {
				s.Errorf("%s of %d: %d events, next %q", describe(q), n, len(events), next)
			}
			if next != "" {
				q.Cursor = next
				rest, end := s.page(q)
				if len(rest) != 1 || end != "" {
					s.Errorf("%s: %d events and next %q at the last page", describe(q), len(rest), end)
				}
				q.Cursor = ""
			}
		}
	}
}

// testBadCursor tries what is no cursor, and every cursor that differs from a good one in a character.
func testBadCursor(s *stage) {
	s.fill(50)
	for _, descending := range []bool{false, true} {
		q := application.Query{Limit: 10, Descending: descending}
		_, good := s.page(q)
		if strings.Trim(good, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~") != "" {
			s.Errorf("the cursor %q is not fit for a URL", good)
		}
		bad := []string{
			"0", "x", "AAAA", "null", "-", "=", " ", "ü", "\x00", "12345", strings.Repeat("A", 100), strings.Repeat("A", 10<<20),
			good + "A", good + "=", good + "\n", " " + good, good + good, good[1:], good[:len(good)-1], strings.ToUpper(good),
			base64.RawURLEncoding.EncodeToString([]byte("nonsense that is base64")), `{"offset":3}`,
		}
		for i := range good {
			for _, c := range "A_b" {
				if changed := fmt.Sprintf("%s%c%s", good[:i], c, good[i+1:]); changed != good {
					bad = append(bad, changed)
				}
			}
		}
		for _, q.Cursor = range bad {
			s.refused(q)
		}
		q.UserID, q.Cursor = "nobody", "nonsense"
		s.refused(q)
	}
}

func testOtherDirection(s *stage) {
	s.fill(50)
	for _, descending := range []bool{false, true} {
		q := application.Query{Limit: 10, Descending: descending}
		_, q.Cursor = s.page(q)
		q.Descending = !descending
		s.refused(q)
		q.Limit = 0
		s.refused(q)
	}
}
