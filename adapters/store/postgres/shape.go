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

// rows are those of a run. It leaves one index to choose, whatever the server believes to know of the data. A user, or a
// type, is equal to one of a list of one: to the server that is no constant, so that only the index that begins with it gives
// the order that is asked for. (A comparison of rows would do that as well, but a scan does not end where such a one is over.)
func (s shape) rows() string {
	table, where, order := s.index()
	alias := order[:2]
	text := table + ` WHERE ` + where + alias + `seq BETWEEN run.low AND run.high`
	if s.source == fromUserAndType {
		text += ` AND e.type = @type`
	}
	if s.timed {
		sec := alias + "sec"
		text += ` AND ` + sec + ` BETWEEN @from_sec AND @to_sec AND (` + sec + ` > @from_sec OR e.nano >= @from_nano) AND (` + sec + ` < @to_sec OR e.nano < @to_nano)`
	}
	if s.descending {
		order = strings.ReplaceAll(order, ",", " DESC,") + " DESC"
	}
	return text + ` ORDER BY ` + order
}

// index returns the tables to read, and which part of which index.
func (s shape) index() (table, where, order string) {
	switch s.source {
	case fromUser, fromUserAndType:
		return `events e`, `e.user_id = ANY(@users) AND `, `e.user_id, e.seq`
	case fromType:
		return `events e`, `e.type = ANY(@types) AND `, `e.type, e.seq`
	case fromPairs:
		return `pairs p JOIN events e ON e.seq = p.seq`, `p.user_id = ANY(@users) AND p.type = @type AND `, `p.user_id, p.type, p.seq`
	case fromAll, sources:
	}
	return `events e`, ``, `e.seq`
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
