package sqlitelog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync"
)

// place names a group's place in a topic.
type place struct {
	topic int64
	group string
}

// places are those of groups that have moved and are not on disk yet.
type places struct {
	mu    sync.Mutex
	moved map[place]int64
}

func newPlaces() *places { return &places{moved: map[place]int64{}} }

// move notes the group's place, to be written soon.
func (p *places) move(at place, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved[at] = next
}

// waiting returns what is not on disk.
func (p *places) waiting() map[place]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.moved) == 0 {
		return nil
	}
	return maps.Clone(p.moved)
}

// written says that the places are on disk; those that have moved on meanwhile stay.
func (p *places) written(done map[place]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, next := range done {
		if p.moved[at] == next {
			delete(p.moved, at)
		}
	}
}

// find returns the group's place, if it has one.
func (p *places) find(ctx context.Context, q queryer, at place) (next int64, found bool, err error) {
	p.mu.Lock()
	next, found = p.moved[at]
	p.mu.Unlock()
	if found {
		return next, true, nil
	}
	return readPlace(ctx, q, at)
}

func readPlace(ctx context.Context, q queryer, at place) (next int64, found bool, err error) {
	err = q.QueryRowContext(ctx, "SELECT next FROM groups WHERE topic = ? AND name = ?", at.topic, at.group).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read the place of group %s: %w", at.group, err)
	}
	return next, true, nil
}

// write writes the places.
func (s *session) write(ctx context.Context, moved map[place]int64) error {
	for at, next := range moved {
		if _, err := s.place.ExecContext(ctx, at.topic, at.group, next); err != nil {
			return fmt.Errorf("keep the place of group %s: %w", at.group, err)
		}
	}
	return nil
}
