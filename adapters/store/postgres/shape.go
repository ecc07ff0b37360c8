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
}

// text returns the statement. It goes through the runs one after another, in the order in which they are given. Rows end
// where their bytes are enough: the sum goes along the rows in their order, and looks at no JSON that is stored beside its
// row.
func (s shape) text() string {
	return `SELECT seq, json FROM (
		SELECT seq, json, sum(octet_length(json)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(json) AS before
		FROM (
			SELECT found.seq, found.json FROM unnest(@lows::bigint[], @highs::bigint[]) AS run (low, high)
			CROSS JOIN LATERAL (SELECT e.seq, e.json FROM ` + s.rows() + ` LIMIT @limit) AS found LIMIT @limit
		) AS page
	) AS measured WHERE before < @bytes`
}

// rows are those of a run. It leaves one index to choose: its first columns are compared as a whole, which another index
// does not serve, and ordered by, which another index does not give.
func (s shape) rows() string {
	table, key, values := s.index()
	text := table + ` WHERE (` + key + `) >= (` + values + `run.low) AND (` + key + `) <= (` + values + `run.high)`
	if s.source == fromUserAndType {
		text += ` AND e.type = @type`
	}
	if s.timed {
		sec := key[:2] + "sec"
		text += ` AND ` + sec + ` BETWEEN @from_sec AND @to_sec AND (` + sec + ` > @from_sec OR e.nano >= @from_nano) AND (` + sec + ` < @to_sec OR e.nano < @to_nano)`
	}
	order := key
	if s.descending {
		order = strings.ReplaceAll(key, ",", " DESC,") + " DESC"
	}
	return text + ` ORDER BY ` + order
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
		for i := range 4 {
			s := shape{source: from, descending: i%2 == 1, timed: i/2 == 1}
			all[s] = s.text()
		}
	}
	return all
}
