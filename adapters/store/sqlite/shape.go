package sqlite

import "strings"

// source is where events are found.
type source int

const (
	fromAll source = iota
	fromUser
	fromType
	fromUserAndType
	// fromPairs is for users of the table pairs.
	fromPairs
	sources
)

// shape is what the statement of a query depends on.
type shape struct {
	source     source
	timed      bool
	descending bool
	// seek asks only for the number of the first event, whatever its time.
	seek bool
}

// The parameters of every statement: ?1 and ?2 are the first and the last number, ?3 how many, ?4 the user, ?5 the type, ?6
// and ?7 the seconds and nanoseconds from which on, ?8 and ?9 those up to which events are wanted.
const parameters = 9

// text returns the statement. Terms on what is in the index stand first, so that only events that pass are read.
func (s shape) text() string {
	var b strings.Builder
	b.WriteString(`SELECT e.seq`)
	if !s.seek {
		b.WriteString(`, e.json`)
	}
	b.WriteString(` FROM ` + s.tables() + ` AND ?9 IS NOT NULL`)
	table := "e"
	if s.source == fromPairs {
		table = "p"
	}
	b.WriteString(` AND ` + table + `.seq BETWEEN ?1 AND ?2`)
	if s.timed && !s.seek {
		b.WriteString(` AND ` + table + `.sec BETWEEN ?6 AND ?8 AND (` + table + `.sec > ?6 OR e.nano >= ?7) AND (` + table + `.sec < ?8 OR e.nano < ?9)`)
	}
	b.WriteString(` ORDER BY ` + table + `.seq`)
	if s.descending {
		b.WriteString(` DESC`)
	}
	return b.String() + ` LIMIT ?3`
}

func (s shape) tables() string {
	switch s.source {
	case fromUser:
		return `events e INDEXED BY events_user WHERE e.user_id = ?4`
	case fromType:
		return `events e INDEXED BY events_type WHERE e.type = ?5`
	case fromUserAndType:
		return `events e INDEXED BY events_user WHERE e.user_id = ?4 AND e.type = ?5`
	case fromPairs:
		return `pairs p CROSS JOIN events e ON e.seq = p.seq WHERE p.user_id = ?4 AND p.type = ?5`
	case fromAll, sources:
	}
	return `events e WHERE TRUE`
}

const (
	selectBounds   = `SELECT first, (SELECT coalesce(max(seq), 0) FROM events) FROM kept`
	selectIsPaired = `SELECT count(*) FROM users WHERE user_id = ?1 AND paired`
)

// texts holds the statement of every shape.
func texts() map[shape]string {
	all := make(map[shape]string)
	for from := range sources {
		for i := range 6 {
			s := shape{source: from, descending: i%2 == 1, timed: i/2 == 1, seek: i/2 == 2}
			all[s] = s.text()
		}
	}
	return all
}
