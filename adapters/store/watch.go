package store

import (
	"context"
	"errors"
	"time"
)

var errExpired = errors.New("the time of the query is over")

// watch ends the context of a query when the store has had it for too long. One goroutine uses it.
type watch struct {
	guard *Guard
	// ctx is that of the query.
	ctx    context.Context //nolint:containedctx // it lives as long as the query, whose tries share it
	cancel context.CancelCauseFunc
	stream bool
	timer  *time.Timer
	// left is what the store may still take, since when it has been at it.
	left  time.Duration
	since time.Time
	// yielded says that the first event has come, refused is the error of the one who takes them.
	yielded bool
	refused error
}

func newWatch(ctx context.Context, g *Guard, stream bool) *watch {
	w := &watch{guard: g, stream: stream, left: g.options.Timeout, since: time.Now()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.left, func() { w.cancel(errExpired) })
	return w
}

// yield passes the event on. The time that this takes is not the store's.
func (w *watch) yield(event []byte, to func([]byte) error) error {
	if !w.yielded {
		w.yielded = true
		w.timer.Stop()
		w.guard.waiting.leave()
		w.guard.breaker.Success()
	}
	if w.stream {
		w.refused = to(event)
		return w.refused
	}
	w.timer.Stop()
	w.left -= time.Since(w.since)
	w.refused = to(event)
	w.since = time.Now()
	w.timer.Reset(w.left)
	return w.refused
}

// pause waits for about d; false when the query ended meanwhile.
func (w *watch) pause(d time.Duration) bool {
	timer := time.NewTimer(jittered(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// expired says that the store has had the query for too long.
func (w *watch) expired() bool { return errors.Is(context.Cause(w.ctx), errExpired) }

func (w *watch) end() {
	if !w.yielded {
		w.guard.waiting.leave()
	}
	w.timer.Stop()
	w.cancel(nil)
}
