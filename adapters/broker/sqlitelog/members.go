package sqlitelog

import (
	"context"
	"sync"
)

// members sees to it that of the members of a group only one reads a topic, which has but one partition.
type members struct {
	mu    sync.Mutex
	turns map[place]*turn
}

type turn struct {
	token chan struct{}
	users int
}

func newMembers() *members { return &members{turns: map[place]*turn{}} }

// await returns when it is the caller's turn to read, in the order of the calls, and what ends the turn; or the error of ctx.
func (m *members) await(ctx context.Context, at place) (leave func(), err error) {
	m.mu.Lock()
	t := m.turns[at]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		m.turns[at] = t
	}
	t.users++
	m.mu.Unlock()
	select {
	case t.token <- struct{}{}:
		return func() {
			<-t.token
			m.forget(at, t)
		}, nil
	case <-ctx.Done():
		m.forget(at, t)
		return nil, ctx.Err()
	}
}

func (m *members) forget(at place, t *turn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(m.turns, at)
	}
}

// count is how many subscriptions there are.
func (m *members) count(at place) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.turns[at]; t != nil {
		return t.users
	}
	return 0
}
