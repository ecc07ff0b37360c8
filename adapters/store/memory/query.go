package memory

import (
	"context"

	"github.com/netstreamflow/netstreamflow/application"
)

// Query implements [application.Reader]. It works on what was there at the call; however slow yield is, it holds nothing
// up. What yield gets is the store's own memory.
func (s *Store) Query(ctx context.Context, q application.Query, yield func(event []byte) error) (next string, err error) {
	c, err := s.open()
	if err != nil {
		return "", err
	}
	scan, err := newScan(c, q)
	if err != nil {
		return "", err
	}
	at, yielded := scan.begin(), 0
	for {
		seq, found, err := scan.next(ctx, at)
		if err != nil || !found {
			return "", err
		}
		if q.Limit > 0 && yielded == q.Limit {
			return scan.cursor(at).String(), nil
		}
		if err := yield(scan.json(seq)); err != nil {
			return "", err
		}
		yielded++
		at = scan.beyond(seq)
	}
}
