package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Record keeps the batch in one transaction, whose turn the lock of the table head is: across all instances, the numbers of
// a batch become visible before those of the next one are given out.
func (s *Store) Record(ctx context.Context, b application.Batch) (added int, err error) {
	if len(b.Entries) == 0 && len(b.Taken) == 0 {
		return 0, ctx.Err()
	}
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	r := &recording{w: s.writer, batch: b, entries: distinct(b.Entries)}
	if err := s.record(ctx, bounded, r); err != nil {
		return 0, fmt.Errorf("write to the store: %w", failure(ctx, err))
	}
	return len(r.added), nil
}

func (s *Store) record(ctx, bounded context.Context, r *recording) error {
	if err := s.writer.wait(bounded); err != nil {
		return err
	}
	defer s.writer.pass()
	if err := s.schema.await(bounded); err != nil {
		return err
	}
	return s.writer.transact(ctx, bounded, func(conn *pgx.Conn) error { return r.run(bounded, conn) })
}

// recording is a batch on its way.
type recording struct {
	w     *writer
	batch application.Batch
	// entries are those of the batch, each id once.
	entries []application.Entry

	// next is the number of the first entry.
	next int64
	// paired are those users of the batch whose events are in the table pairs.
	paired map[string]bool
	zones  zones
	// added are the numbers of the entries that are new.
	added []int64
}

func distinct(entries []application.Entry) []application.Entry {
	seen := make(map[domain.UUID]struct{}, len(entries))
	out := make([]application.Entry, 0, len(entries))
	for _, e := range entries {
		if _, twice := seen[e.Event.ID()]; !twice {
			seen[e.Event.ID()] = struct{}{}
			out = append(out, e)
		}
	}
	return out
}

func (r *recording) run(ctx context.Context, conn *pgx.Conn) error {
	for _, step := range []func(*pipeline){r.begin, r.insert} {
		var p pipeline
		step(&p)
		if err := p.run(ctx, conn); err != nil {
			return err
		}
	}
	if err := r.pair(ctx, conn); err != nil {
		return err
	}
	var p pipeline
	r.finish(&p)
	return p.run(ctx, conn)
}

const (
	lockHead     = `SELECT next FROM head FOR UPDATE`
	selectPaired = `SELECT user_id FROM users WHERE user_id = ANY($1) AND paired`
)

// begin waits for the turn. What is read behind that is what the last batch has left.
func (r *recording) begin(p *pipeline) {
	p.exec(`BEGIN`)
	p.row(&r.next, lockHead)
	r.paired = make(map[string]bool)
	var user string
	p.rows([]any{&user}, func() error { r.paired[user] = true; return nil }, selectPaired, users(r.entries))
}

func users(entries []application.Entry) []string {
	seen := make(map[string]bool)
	var out []string
	for _, e := range entries {
		if user := e.Event.UserID(); !seen[user] {
			seen[user] = true
			out = append(out, user)
		}
	}
	return out
}

// What one statement inserts at most: an argument of it may not be larger than a gigabyte.
const (
	insertRows  = 2000
	insertBytes = 16 << 20
)

const insertEvents = `INSERT INTO events (seq, sec, nano, accepted, user_id, type, id, json)
	SELECT $1::bigint + e.n - 1, e.sec, e.nano, e.accepted, e.user_id, e.type, e.id, e.json
	FROM unnest($2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::bytea[])
		WITH ORDINALITY AS e (sec, nano, accepted, user_id, type, id, json, n)
	ON CONFLICT (id) DO NOTHING RETURNING seq`

// insert numbers the entries; those that are there already leave their numbers unused.
func (r *recording) insert(p *pipeline) {
	r.zones.load(p, r.next, len(r.entries))
	var seq int64
	for begin := 0; begin < len(r.entries); {
		rows := newColumns(r.entries[begin:])
		p.rows([]any{&seq}, func() error { r.added = append(r.added, seq); return nil },
			insertEvents, r.next+int64(begin), rows.sec, rows.nano, rows.accepted, rows.user, rows.kind, rows.id, rows.json)
		begin += len(rows.sec)
	}
}

// columns are rows of the table events.
type columns struct {
	sec, accepted []int64
	nano          []int32
	user, kind    []string
	id            [][16]byte
	json          [][]byte
}

// newColumns takes as many entries as one statement may insert.
func newColumns(entries []application.Entry) (c columns) {
	bytes := 0
	for _, e := range entries[:min(len(entries), insertRows)] {
		at := e.Event.Timestamp()
		c.sec, c.nano = append(c.sec, at.Unix()), append(c.nano, int32(at.Nanosecond())) //nolint:gosec // below 10^9
		c.accepted = append(c.accepted, e.Accepted.UnixMicro())
		c.user, c.kind = append(c.user, e.Event.UserID()), append(c.kind, e.Event.EventType())
		c.id, c.json = append(c.id, e.Event.ID()), append(c.json, e.Event.JSON())
		if bytes += len(e.Event.JSON()); bytes >= insertBytes {
			break
		}
	}
	return c
}

const (
	updateHead     = `UPDATE head SET next = $1`
	upsertPosition = `INSERT INTO positions (topic, partition, next)
		SELECT $1, t.partition, t.next FROM unnest($2::integer[], $3::bigint[]) AS t (partition, next)
		ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next`
)

func (r *recording) finish(p *pipeline) {
	if len(r.added) > 0 {
		r.zones.store(p)
		p.exec(updateHead, slices.Max(r.added)+1)
	}
	if len(r.batch.Taken) > 0 {
		var partitions []int32
		var next []int64
		for partition, offset := range r.batch.Taken {
			partitions, next = append(partitions, partition), append(next, offset)
		}
		p.exec(upsertPosition, r.batch.Topic, partitions, next)
	}
	p.exec(`COMMIT`)
}

const selectPositions = `SELECT partition, next FROM positions WHERE topic = $1`

// Positions returns what was last recorded of the topic.
func (s *Store) Positions(ctx context.Context, topic string) (taken map[int32]int64, err error) {
	taken = make(map[int32]int64)
	err = s.read(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, selectPositions, topic)
		var partition int32
		var next int64
		_, err := pgx.ForEachRow(rows, []any{&partition, &next}, func() error { taken[partition] = next; return nil })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", failure(ctx, err))
	}
	return taken, nil
}
