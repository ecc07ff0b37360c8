package sqlite

import (
	"context"
	"sync"
	"time"
)

// snapshot is a transaction that reads the file as of one moment. It takes up a connection and, worse, keeps the
// write-ahead log from being used again, so that it is given up when its time is over, even while the reader is busy with
// what it got; the next use begins another one.
type snapshot struct {
	readers *pool
	hold    time.Duration

	mu    sync.Mutex
	conn  *connection
	timer *time.Timer
}

// use calls f with a connection inside the transaction.
func (s *snapshot) use(ctx context.Context, f func(*connection) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	err := f(s.conn)
	if err != nil {
		s.release(err)
	}
	return err
}

func (s *snapshot) begin(ctx context.Context) error {
	conn, err := s.readers.get(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.exec(`BEGIN`); err != nil {
		s.readers.put(conn, err)
		return err
	}
	s.conn = conn
	s.timer = time.AfterFunc(s.hold, s.end)
	return nil
}

func (s *snapshot) release(cause error) {
	if s.conn == nil {
		return
	}
	s.timer.Stop()
	_, err := s.conn.exec(`ROLLBACK`)
	if cause == nil {
		cause = err
	}
	s.readers.put(s.conn, cause)
	s.conn = nil
}

// end gives the connection back.
func (s *snapshot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(nil)
}
