package consumer

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// backoff counts failed attempts and waits longer after each, with jitter, so that instances do not all come back at once.
type backoff struct{ attempt int }

// pause waits; false when ctx or stop ended it.
func (b *backoff) pause(ctx context.Context, stop <-chan struct{}) bool {
	d := min(firstPause<<min(b.attempt, 10), longestPause)
	b.attempt++
	timer := time.NewTimer(d/2 + rand.N(d/2)) //nolint:gosec // jitter needs no secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-stop:
		return false
	}
}
