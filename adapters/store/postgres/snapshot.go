package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// snapshot is a transaction that reads the database as of one moment. It takes up a connection and, worse, keeps the server
// from reclaiming what was changed since, so that it is given up when its time is over, even while the reader is busy with
// what it got; the next use begins another one.
type snapshot struct {
	readers *pgxpool.Pool
	hold    time.Duration

	mu    sync.Mutex
	conn  *pgxpool.Conn
	timer *time.Timer
}

// use calls f with a connection inside the transaction.
func (s *snapshot) use(ctx context.Context, f func(*pgx.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	err := f(s.conn.Conn())
	if err != nil {
		s.fail(ctx)
	}
	return err
}

func (s *snapshot) begin(ctx context.Context) error {
	conn, err := s.readers.Acquire(ctx)
	if err != nil {
		return err
	}
	s.conn = conn
	s.timer = time.AfterFunc(s.hold, s.end)
	if _, err := conn.Exec(ctx, `BEGIN`); err != nil {
		s.fail(ctx)
		return err
	}
	return nil
}

// fail gives the connection back, which closes it, as it is in a transaction.
func (s *snapshot) fail(ctx context.Context) {
	s.timer.Stop()
	forget(ctx, s.readers, s.conn.Conn())
	s.conn.Release()
	s.conn = nil
}

// end gives the connection back.
func (s *snapshot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	s.timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_, _ = s.conn.Exec(ctx, `ROLLBACK`)
	s.conn.Release()
	s.conn = nil
}
