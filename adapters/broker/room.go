package broker

import (
	"context"
	"sync"
)

// maxHeldBytes bounds the values of one partition that are delivered and not acked, whatever the window: large values
// must not fill the memory. A larger one goes alone.
const maxHeldBytes = 16 << 20

// room counts what is delivered and not acked. One goroutine enters, any may leave.
type room struct {
	window int
	freed  chan struct{}

	mu    sync.Mutex
	count int
	bytes int
}

func newRoom(window int) *room {
	return &room{window: window, freed: make(chan struct{}, 1)}
}

// enter waits until there is room for a value of the size.
func (r *room) enter(ctx context.Context, size int) error {
	for !r.tryEnter(size) {
		select {
		case <-r.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *room) tryEnter(size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 && (r.count >= r.window || r.bytes+size > maxHeldBytes) {
		return false
	}
	r.count++
	r.bytes += size
	return true
}

func (r *room) leave(size int) {
	r.mu.Lock()
	r.count--
	r.bytes -= size
	r.mu.Unlock()
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
