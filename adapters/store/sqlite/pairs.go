package sqlite

import (
	"database/sql/driver"
	"math/rand/v2"

	"github.com/netstreamflow/netstreamflow/domain"
)

// A query for a user and a type reads through the user's events in an index that holds their types, which is quick while
// there are not too many. An index of user and type would cost each event as much as all else together, so that only users
// with many events have one: the table pairs. Who has many is found by samples, so that most events need no count.

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
	selectPaired = `SELECT user_id FROM users WHERE paired`
	insertPair   = `INSERT INTO pairs (user_id, type, seq, sec) VALUES (?1, ?2, ?3, ?4)`
	insertPairs  = `INSERT INTO pairs (user_id, type, seq, sec)
		SELECT user_id, type, seq, sec FROM events INDEXED BY events_user WHERE user_id = ?1`
	countSample = `INSERT INTO users (user_id, samples, paired) VALUES (?1, 1, 0)
		ON CONFLICT (user_id) DO UPDATE SET samples = samples + 1`
	selectSamples = `SELECT samples FROM users WHERE user_id = ?1`
	updatePaired  = `UPDATE users SET paired = 1 WHERE user_id = ?1`
)

func (w *writer) pairedUsers() (users map[string]bool, err error) {
	users = make(map[string]bool)
	err = w.query(selectPaired, func(row []driver.Value) error {
		user, ok := row[0].(string)
		if !ok {
			return errDriver
		}
		users[user] = true
		return nil
	})
	return users, err
}

// pair puts a new event into the table pairs if its user is one of those, or counts it now and then.
func (w *writer) pair(seq int64, e domain.Event) error {
	if w.paired[e.UserID()] {
		_, err := w.exec(insertPair, e.UserID(), e.EventType(), seq, e.Timestamp().Unix())
		return err
	}
	if rand.Uint32N(w.every) > 0 { //nolint:gosec // nothing to guess
		return nil
	}
	return w.sample(e.UserID())
}

// sample counts an event of the user; one that has many goes to the table pairs with all of them.
func (w *writer) sample(user string) error {
	if _, err := w.exec(countSample, user); err != nil {
		return err
	}
	samples, _, err := w.integers(selectSamples, user)
	if err != nil || samples[0] < w.enough {
		return err
	}
	if _, err := w.exec(insertPairs, user); err != nil {
		return err
	}
	if _, err := w.exec(updatePaired, user); err != nil {
		return err
	}
	w.paired[user] = true
	return nil
}
