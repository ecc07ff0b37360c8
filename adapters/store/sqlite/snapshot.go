package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// snapshot is a transaction that reads the file as of one moment. It keeps a connection and, more important, the
// write-ahead log from being used again, so that it is given up when its time is over, even while the reader is busy with
// what it got; the next use begins another one.
type snapshot struct {
	readers *sql.DB
	hold    time.Duration

	mu    sync.Mutex
	tx    *sql.Tx
	timer *time.Timer
}

// use calls f with the transaction.
func (s *snapshot) use(ctx context.Context, f func(tx *sql.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx == nil {
		tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		s.tx = tx
		s.timer = time.AfterFunc(s.hold, s.release)
	}
	return f(s.tx)
}

func (s *snapshot) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil {
		_ = s.tx.Rollback() // nothing was written; a transaction that its context has ended is one, too
		s.tx = nil
	}
}

// end releases everything; nothing may follow.
func (s *snapshot) end() {
	s.release()
	if s.timer != nil {
		s.timer.Stop()
	}
}
