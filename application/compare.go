package application

import (
	"fmt"
	"hash/fnv"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Comparison compares a log with a store, for as many users at a time as fit in memory. All of the log goes to Logged before
// all of the store goes to Stored, and Done follows; then a comparison of the next part of the users may begin. The zero value
// is not ready: see [NewComparison].
type Comparison struct {
	// passes is how many parts the users are in.
	passes uint64
	pass   uint64
	// trimmed says that the log may have begun with earlier records.
	trimmed bool
	report  *Report

	logged map[domain.UUID]*logged
	users  map[string]*stored
}

// logged is the first record of an event in the log.
type logged struct {
	Position

	digest uint64
	seen   bool
	// exempt says that the store need not have it.
	exempt bool
}

// stored is what is known of a user's events in the store.
type stored struct {
	last Position
	// known says that one of the events so far is in the log.
	known bool
}

// Report is the outcome of a comparison.
type Report struct {
	// Log and Store count and sum up the events on either side, each event once.
	Log, Store Checksum
	// Missing are in the log and not in the store, Extra the other way round, Different have other bytes, Misplaced stand
	// behind a later event of the same user and partition.
	Missing, Extra, Different, Misplaced Findings
	// Older are in the store only, before all of their user's events in a log that has lost its first records. Exempt are in
	// the log only, and need not be in the store.
	Older, Exempt int64
}

// Findings counts findings of one kind and describes the first few.
type Findings struct {
	Count    int64
	Examples []string
}

const maxExamples = 10

func (f *Findings) add(format string, args ...any) {
	f.Count++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

// Agrees says that nothing was found.
func (r *Report) Agrees() bool {
	return r.Missing.Count+r.Extra.Count+r.Different.Count+r.Misplaced.Count == 0
}

// NewComparison begins a pass of several, numbered from 0, whose findings are added to the report. trimmed says that the log may
// have lost its first records.
func NewComparison(r *Report, pass, passes int, trimmed bool) *Comparison {
	return &Comparison{
		passes: uint64(passes), pass: uint64(pass), trimmed: trimmed, report: r, //nolint:gosec // neither is negative
		logged: make(map[domain.UUID]*logged), users: make(map[string]*stored),
	}
}

func (c *Comparison) concerns(user string) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(user)) // it has no error
	return h.Sum64()%c.passes == c.pass
}

// Logged takes an event of the log, in the order of each partition. exempt says that the store need not have it.
func (c *Comparison) Logged(e Entry, exempt bool) {
	if !c.concerns(e.Event.UserID()) {
		return
	}
	id := e.Event.ID()
	if c.logged[id] != nil {
		return // the first one counts
	}
	c.logged[id] = &logged{Position: e.Position, digest: c.report.Log.Add(e.Event.JSON()), exempt: exempt}
}

// Stored takes the JSON of an event of the store, in the order of the store.
func (c *Comparison) Stored(json []byte) error {
	e, err := Decode(json, Origin{}, nil)
	if err != nil {
		return fmt.Errorf("an event of the store cannot be read: %w", err)
	}
	user := e.Event.UserID()
	if !c.concerns(user) {
		return nil
	}
	digest := c.report.Store.Add(json)
	s := c.users[user]
	if s == nil {
		s = &stored{}
		c.users[user] = s
	}
	if l := c.logged[e.Event.ID()]; l != nil {
		c.match(e.Event, l, s, digest)
	} else if c.trimmed && !s.known {
		c.report.Older++
	} else {
		c.report.Extra.add("event %s of user %q is not in the log", e.Event.ID(), user)
	}
	return nil
}

func (c *Comparison) match(e domain.Event, l *logged, s *stored, digest uint64) {
	l.seen = true
	if l.digest != digest {
		c.report.Different.add("event %s of user %q is another one in the log (partition %d, offset %d)",
			e.ID(), e.UserID(), l.Partition, l.Offset)
	}
	if s.known && s.last.Partition == l.Partition && s.last.Offset > l.Offset {
		c.report.Misplaced.add("event %s of user %q (partition %d, offset %d) is stored behind offset %d",
			e.ID(), e.UserID(), l.Partition, l.Offset, s.last.Offset)
		return
	}
	s.last, s.known = l.Position, true
}

// Done ends the pass: what the store has not shown is missing.
func (c *Comparison) Done() {
	for id, l := range c.logged {
		switch {
		case l.seen:
		case l.exempt:
			c.report.Exempt++
		default:
			c.report.Missing.add("event %s (partition %d, offset %d) is not in the store", id, l.Partition, l.Offset)
		}
	}
}
