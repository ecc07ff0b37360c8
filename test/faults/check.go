package main

import "fmt"

// findings are the promises that were broken, one line for each event.
type findings struct {
	lost, twice, reordered, foreign, different []string
}

func (f findings) broken() int {
	return len(f.lost) + len(f.twice) + len(f.reordered) + len(f.foreign) + len(f.different)
}

func (f findings) lines() []string {
	var all []string
	for _, kind := range []struct {
		name  string
		lines []string
	}{
		{"lost", f.lost},
		{"stored twice", f.twice},
		{"out of order", f.reordered},
		{"never sent", f.foreign},
		{"not as sent", f.different},
	} {
		for _, line := range kind.lines {
			all = append(all, kind.name+": "+line)
		}
	}
	return all
}

// check compares what was sent with what is stored, which must be in the order in which the service shows it.
func check(sent history, kept []stored) findings {
	c := checker{sent: sent, seen: make(map[*event]bool), ids: make(map[string]stored), newest: make(map[string]*event)}
	for _, s := range kept {
		c.take(s)
	}
	for _, events := range sent {
		for _, e := range events {
			if e.accepted > 0 && !c.seen[e] {
				c.lost = append(c.lost, fmt.Sprintf("%s n=%d eventId %s: %s", e.user, e.n, e.id, e.history()))
			}
		}
	}
	return c.findings
}

type checker struct {
	findings

	sent history
	seen map[*event]bool
	ids  map[string]stored
	// newest is, by user, the accepted event that was first sent last of those seen so far.
	newest map[string]*event
}

func (c *checker) take(s stored) {
	events := c.sent[s.user]
	if s.n < 0 || s.n >= len(events) {
		c.foreign = append(c.foreign, fmt.Sprintf("%s n=%d eventId %s", s.user, s.n, s.id))
		return
	}
	e := events[s.n]
	twin, known := c.ids[s.id]
	c.ids[s.id] = s
	switch {
	case c.seen[e]:
		c.twice = append(c.twice, fmt.Sprintf("%s n=%d eventId %s and %s: %s", e.user, e.n, e.id, s.id, e.history()))
		return
	case known:
		c.twice = append(c.twice, fmt.Sprintf("eventId %s for %s n=%d and for %s n=%d", s.id, twin.user, twin.n, s.user, s.n))
	case e.id != "" && e.id != s.id:
		c.different = append(c.different, fmt.Sprintf("%s n=%d has eventId %s, not %s: %s", e.user, e.n, s.id, e.id, e.history()))
	}
	if !e.timestamp.IsZero() && !e.timestamp.Equal(s.timestamp) {
		c.different = append(c.different, fmt.Sprintf("%s n=%d has the timestamp %s, not %s", e.user, e.n, s.timestamp, e.timestamp))
	}
	c.seen[e] = true
	c.order(e)
}

// order finds an event that was accepted before one was sent that is stored ahead of it. An event that was sent more than
// once got its place at any time between its first sending and its acceptance, so that only events whose times do not
// overlap have an order that must be kept. Those that were not accepted have none.
func (c *checker) order(e *event) {
	if e.accepted == 0 {
		return
	}
	newest := c.newest[e.user]
	if newest != nil && e.accepted < newest.first {
		c.reordered = append(c.reordered, fmt.Sprintf("%s n=%d (%s) is stored behind n=%d (%s), which was sent after it was accepted",
			e.user, e.n, e.history(), newest.n, newest.history()))
	}
	if newest == nil || e.first > newest.first {
		c.newest[e.user] = e
	}
}
