package postgres

import (
	"context"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
)

// A query for a user and a type reads through the user's events in an index that holds their types, which is quick while
// there are not too many. An index of user and type would make each event dirty one more page far from all others, so that
// only users with many events have one: the table pairs. Who has many is found by samples, so that most events need no
// count.

// sampling says how users with many events are found.
type sampling struct {
	// every is how many events there are to one sample, on average.
	every uint32
	// enough is how many samples of a user make one with many events.
	enough int64
}

// defaultSampling finds users with about 4,096 events.
var defaultSampling = sampling{every: 64, enough: 64}

const (
	insertPairs = `INSERT INTO pairs (user_id, type, seq, sec)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])`
	countSamples = `INSERT INTO users AS u (user_id, samples, paired)
		SELECT s.user_id, s.samples, false FROM unnest($1::text[], $2::bigint[]) AS s (user_id, samples)
		ON CONFLICT (user_id) DO UPDATE SET samples = u.samples + excluded.samples
		RETURNING CASE WHEN samples >= $3 THEN user_id END`
	// Nothing may be removed while all events of a user are taken over.
	lockKept   = `SELECT first FROM kept FOR UPDATE`
	insertUser = `INSERT INTO pairs (user_id, type, seq, sec)
		SELECT user_id, type, seq, sec FROM events WHERE user_id = ANY($1) AND seq < $2`
	updatePaired = `UPDATE users SET paired = true WHERE user_id = ANY($1)`
)

// pair puts the new events of users that are in the table pairs there, and counts some of the others, see also zones.
func (r *recording) pair(ctx context.Context, conn *pgx.Conn) error {
	var rows columns
	var seqs []int64
	samples := make(map[string]int64)
	for _, seq := range r.added {
		e := r.entries[seq-r.next].Event
		r.zones.add(seq, e.Timestamp().Unix())
		switch {
		case r.paired[e.UserID()]:
			rows.user, rows.kind = append(rows.user, e.UserID()), append(rows.kind, e.EventType())
			rows.sec, seqs = append(rows.sec, e.Timestamp().Unix()), append(seqs, seq)
		case rand.Uint32N(r.w.every) == 0: //nolint:gosec // nothing to guess
			samples[e.UserID()]++
		}
	}
	var p pipeline
	if len(seqs) > 0 {
		p.exec(insertPairs, rows.user, rows.kind, seqs, rows.sec)
	}
	if err := p.run(ctx, conn); err != nil || len(samples) == 0 {
		return err
	}
	return r.sample(ctx, conn, samples)
}

// sample counts events of users; those that have many go to the table pairs with all of them.
func (r *recording) sample(ctx context.Context, conn *pgx.Conn, samples map[string]int64) error {
	var names, many []string
	var counts []int64
	for user, n := range samples {
		names, counts = append(names, user), append(counts, n)
	}
	var p pipeline
	var user *string
	p.rows([]any{&user}, func() error {
		if user != nil {
			many = append(many, *user)
		}
		return nil
	}, countSamples, names, counts, r.w.enough)
	if err := p.run(ctx, conn); err != nil || len(many) == 0 {
		return err
	}
	var first int64
	p = pipeline{}
	p.row(&first, lockKept)
	p.exec(insertUser, many, r.added[len(r.added)-1]+1)
	p.exec(updatePaired, many)
	return p.run(ctx, conn)
}
