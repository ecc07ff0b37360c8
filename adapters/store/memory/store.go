package memory

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Store is an [application.Store] in memory. Reading takes no lock and holds nothing up.
type Store struct {
	// writing is held by the one who records; it guards taken.
	writing  sync.Mutex
	taken    map[string]map[int32]int64
	contents atomic.Pointer[contents]
}

var (
	_ application.Store = (*Store)(nil)
	_ store.Open        = Open
)

// New returns an empty store.
func New() *Store {
	s := &Store{taken: make(map[string]map[int32]int64)}
	s.contents.Store(newContents())
	return s
}

// Open is a [store.Open]; rest must be empty.
func Open(_ context.Context, rest string, _ store.Options) (application.Store, error) {
	if rest != "" {
		return nil, domain.Invalid("", "must be memory: with nothing behind it")
	}
	return New(), nil
}

// Event returns a copy of the JSON of the event.
func (s *Store) Event(_ context.Context, id domain.UUID) ([]byte, error) {
	c, err := s.open()
	if err != nil {
		return nil, err
	}
	view := c.view()
	hash, head := c.identity(id)
	seq, ok := c.find(hash, head, view.count)
	if !ok {
		return nil, fmt.Errorf("event %s: %w", id, domain.ErrNotFound)
	}
	return bytes.Clone(view.json(seq)), nil
}

// Volatile returns true.
func (s *Store) Volatile() bool { return true }

// Ping returns nil until the store is closed.
func (s *Store) Ping(context.Context) error {
	_, err := s.open()
	return err
}

// Close frees the memory. It may be called again.
func (s *Store) Close() error {
	s.contents.Store(nil)
	return nil
}

func (s *Store) open() (*contents, error) {
	if c := s.contents.Load(); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("the memory store is closed: %w", domain.ErrUnavailable)
}
