package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/netstreamflow/netstreamflow/adapters/store"
)

const (
	selectZones = `SELECT zones FROM zones WHERE level = ?1 AND number = ?2`
	upsertZones = `INSERT INTO zones (level, number, zones) VALUES (?1, ?2, ?3)
		ON CONFLICT (level, number) DO UPDATE SET zones = excluded.zones`
)

// zoneWriter keeps up the tree of zones in the writer's transaction.
type zoneWriter struct {
	w *writer
	// nodes are those that are being changed, nil for none, by level.
	nodes [store.ZoneLevels]*zoneNode
}

type zoneNode struct {
	number int64
	zones  []store.Zone
}

// add takes in the timestamp of an event, in seconds.
func (z *zoneWriter) add(seq, second int64) error {
	for level := range z.nodes {
		number, place := store.ZoneNode(level, seq)
		node, err := z.node(level, number)
		if err != nil {
			return err
		}
		for len(node.zones) <= place {
			node.zones = append(node.zones, store.Zone{})
		}
		node.zones[place].Add(second)
	}
	return nil
}

// node returns the node to be changed; the one before it is written.
func (z *zoneWriter) node(level int, number int64) (*zoneNode, error) {
	if node := z.nodes[level]; node != nil && node.number == number {
		return node, nil
	}
	if err := z.write(level); err != nil {
		return nil, err
	}
	node := &zoneNode{number: number}
	err := z.w.query(selectZones, func(row []driver.Value) (err error) {
		text, _ := row[0].([]byte)
		node.zones, err = store.ParseZones(text)
		return err
	}, int64(level), number)
	z.nodes[level] = node
	return node, err
}

func (z *zoneWriter) write(level int) error {
	node := z.nodes[level]
	if node == nil {
		return nil
	}
	_, err := z.w.exec(upsertZones, int64(level), node.number, store.AppendZones(nil, node.zones))
	return err
}

// flush writes what was changed.
func (z *zoneWriter) flush() error {
	for level := range z.nodes {
		if err := z.write(level); err != nil {
			return err
		}
	}
	return nil
}

// loadZones reads a node for a query.
func loadZones(ctx context.Context, tx *sql.Tx, stmt *sql.Stmt, level int, number int64) ([]store.Zone, error) {
	var text []byte
	err := tx.StmtContext(ctx, stmt).QueryRowContext(ctx, level, number).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return store.ParseZones(text)
}
