package circuit

import (
	"context"
	"sync"
	"time"
)

// followPatience is how long after the beginning of a trial other calls wait for its outcome instead of being refused: where the server
// is back it takes no longer, and none of many that come at once fails for being the second.
const followPatience = 500 * time.Millisecond

// Trial is the call that finds out for all others whether the server is back. It is safe for concurrent use; the zero value is none.
type Trial struct {
	mu    sync.Mutex
	begun time.Time
	// ended is closed when the outcome is known, nil without a trial.
	ended chan struct{}
}

// Begin begins one.
func (t *Trial) Begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	t.begun, t.ended = time.Now(), make(chan struct{})
}

// End tells those who wait that the outcome is known. It may be repeated.
func (t *Trial) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
}

func (t *Trial) end() {
	if t.ended != nil {
		close(t.ended)
		t.ended = nil
	}
}

// Follow waits for the outcome of a trial that has just begun, and returns whether there was one before ctx ended.
func (t *Trial) Follow(ctx context.Context) (known bool) {
	t.mu.Lock()
	ended, patience := t.ended, time.Until(t.begun.Add(followPatience))
	t.mu.Unlock()
	if ended == nil || patience <= 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
