package postgres

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

// text returns the statement. Rows end where their bytes are enough: the sum goes along the rows in their order, and looks
// at no JSON that is stored beside its row.
func (s shape) text() string {
	if s.seek {
		return `SELECT e.seq FROM ` + s.rows() + ` LIMIT 1`
	}
	return `SELECT seq, json FROM (
		SELECT seq, json, sum(octet_length(json)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(json) AS before
		FROM (SELECT e.seq, e.json FROM ` + s.rows() + ` LIMIT @limit) AS page
	) AS measured WHERE before < @bytes`
}

// rows leaves one index to choose: its first columns are compared as a whole, which another index does not serve, and
// ordered by, which another index does not give.
func (s shape) rows() string {
	var b strings.Builder
	table, key, values := s.index()
	b.WriteString(table + ` WHERE (` + key + `) >= (` + values + `@low) AND (` + key + `) <= (` + values + `@high)`)
	alias := table[strings.LastIndex(table, " ")+1:]
	if s.source == fromPairs {
		alias = "p"
	}
	if s.source == fromUserAndType && !s.seek { // the next of the user will do for that
		b.WriteString(` AND e.type = @type`)
	}
	if s.timed && !s.seek {
		b.WriteString(` AND ` + alias + `.sec BETWEEN @from_sec AND @to_sec AND (` + alias + `.sec > @from_sec OR e.nano >= @from_nano) AND (` + alias + `.sec < @to_sec OR e.nano < @to_nano)`)
	}
	order := key
	if s.descending {
		order = strings.ReplaceAll(key, ",", " DESC,") + " DESC"
	}
	return b.String() + ` ORDER BY ` + order
}

// index returns the tables to read, and what their index begins with, with the values of all but the last of that.
func (s shape) index() (table, key, values string) {
	switch s.source {
	case fromUser, fromUserAndType:
		return `events e`, `e.user_id, e.seq`, `@user, `
	case fromType:
		return `events e`, `e.type, e.seq`, `@type, `
	case fromPairs:
		return `pairs p JOIN events e ON e.seq = p.seq`, `p.user_id, p.type, p.seq`, `@user, @type, `
	case fromAll, sources:
	}
	return `events e`, `e.seq`, ``
}

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
