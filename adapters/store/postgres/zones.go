package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

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

func loadZones(ctx context.Context, conn *pgx.Conn, level int, number int64) ([]store.Zone, error) {
	var text []byte
	if _, err := oneOrNone(conn.QueryRow(ctx, selectZones, level, number).Scan(&text)); err != nil {
		return nil, err
	}
	return store.ParseZones(text)
}
