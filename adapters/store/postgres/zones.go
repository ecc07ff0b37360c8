package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

const (
	selectZones = `SELECT zones FROM zones WHERE level = $1 AND number = $2`
	upsertZones = `INSERT INTO zones (level, number, zones) VALUES ($1, $2, $3)
		ON CONFLICT (level, number) DO UPDATE SET zones = excluded.zones`
)

// zones keeps up the tree of zones in the writer's transaction.
type zones struct{ nodes map[zoneKey][]store.Zone }

type zoneKey struct {
	level  int
	number int64
}

// load asks for the nodes that the numbers are in. Only the first one of a level can be there.
func (z *zones) load(p *pipeline, first int64, count int) {
	z.nodes = make(map[zoneKey][]store.Zone)
	if count == 0 {
		return
	}
	var text []byte
	for level := range store.ZoneLevels {
		number, _ := store.ZoneNode(level, first)
		p.rows([]any{&text}, func() (err error) {
			z.nodes[zoneKey{level, number}], err = store.ParseZones(text)
			return err
		}, selectZones, level, number)
	}
}

// add takes in the timestamp of an event, in seconds.
func (z *zones) add(seq, second int64) {
	for level := range store.ZoneLevels {
		number, place := store.ZoneNode(level, seq)
		node := z.nodes[zoneKey{level, number}]
		for len(node) <= place {
			node = append(node, store.Zone{})
		}
		node[place].Add(second)
		z.nodes[zoneKey{level, number}] = node
	}
}

// store writes the nodes.
func (z *zones) store(p *pipeline) {
	for key, node := range z.nodes {
		p.exec(upsertZones, key.level, key.number, store.AppendZones(nil, node))
	}
}

// zoneReader loads nodes for a query, and those that follow along with them when it goes from one to the next.
type zoneReader struct {
	backward bool
	last     zoneKey
	nodes    map[zoneKey][]store.Zone
}

const (
	selectNodes = `SELECT number, zones FROM zones WHERE level = $1 AND number BETWEEN $2 AND $3`
	nodesAhead  = 15
)

func (z *zoneReader) load(ctx context.Context, conn *pgx.Conn, level int, number int64) ([]store.Zone, error) {
	if node, known := z.nodes[zoneKey{level, number}]; known {
		return node, nil
	}
	from, to := number, number
	switch {
	case z.last == zoneKey{level, number - 1} && !z.backward:
		to += nodesAhead
	case z.last == zoneKey{level, number + 1} && z.backward:
		from -= nodesAhead
	}
	if z.nodes == nil || len(z.nodes) > 2*nodesAhead {
		z.nodes = make(map[zoneKey][]store.Zone)
	}
	for n := from; n <= to; n++ {
		z.nodes[zoneKey{level, n}] = nil
	}
	z.last = zoneKey{level, to}
	if z.backward {
		z.last.number = from
	}
	err := z.query(ctx, conn, level, from, to)
	return z.nodes[zoneKey{level, number}], err
}

func (z *zoneReader) query(ctx context.Context, conn *pgx.Conn, level int, from, to int64) error {
	rows, _ := conn.Query(ctx, selectNodes, level, from, to)
	var number int64
	var text pgtype.DriverBytes
	_, err := pgx.ForEachRow(rows, []any{&number, &text}, func() (err error) {
		z.nodes[zoneKey{level, number}], err = store.ParseZones(text)
		return err
	})
	return err
}
