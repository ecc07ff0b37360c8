package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// firstPause is about how long after the first failure a query is tried again; each pause is twice as long as the one before.
const firstPause = 50 * time.Millisecond

// GuardOptions are those of a [Guard].
type GuardOptions struct {
	// Timeout is how long a query may take.
	Timeout time.Duration
	// Queries bounds how many wait for their first event.
	Queries int
	// Retries is how often a query is tried again when the store is away.
	Retries int
	// Breaker is the policy of the circuit breaker; the zero value is the default.
	Breaker circuit.Policy
	Logger  *slog.Logger
}

// Guard keeps queries from waiting for a store that is away, and too many of them from reaching one that is there. It
// implements [application.Reader] by another one, which must end with the context of a call:
//
//   - A query takes no longer than the time-out, without what the caller needs to take the events. One without limit may take
//     longer, but not until its first event.
//   - No more than the bound wait for their first event at a time, and no more than half of that without limit are under way,
//     however slowly their events are taken: any other is a [domain.ErrOverloaded] at once.
//   - One that finds the store away before its first event is tried again, with a pause.
//   - When queries in a row have found the store away, they are refused with [domain.ErrUnavailable] at once; one now and then
//     finds out whether it is back, and those that come at the same moment wait for that.
type Guard struct {
	reader  application.Reader
	options GuardOptions
	breaker *circuit.Breaker
	waiting bulkhead
	streams bulkhead

	retried, timedOut, refused atomic.Int64
}

// GuardState tells how a [Guard] is.
type GuardState struct {
	// Breaker is the state of the circuit breaker.
	Breaker circuit.State
	// Waiting is how many queries have not got their first event, Streaming how many without limit are under way; the others are
	// the bounds.
	Waiting, MaxWaiting, Streaming, MaxStreaming int
	// Overloads counts queries above a bound, Refused those that the breaker refused, Retried those that were tried again,
	// each time, and TimedOut those that took too long.
	Overloads, Refused, Retried, TimedOut int64
}

// NewGuard returns a guard of the reader.
func NewGuard(r application.Reader, o GuardOptions) *Guard {
	return &Guard{
		reader: r, options: o, breaker: circuit.New("the store", o.Breaker, o.Logger),
		waiting: bulkhead{most: int64(o.Queries)}, streams: bulkhead{most: int64(max(1, o.Queries/2))},
	}
}

var _ application.Reader = (*Guard)(nil)

// Event implements [application.Reader].
func (g *Guard) Event(ctx context.Context, id domain.UUID) (event []byte, err error) {
	err = g.ask(ctx, false, func(ctx context.Context, _ *watch) error {
		event, err = g.reader.Event(ctx, id)
		return err
	})
	return event, err
}

// Query implements [application.Reader].
func (g *Guard) Query(ctx context.Context, q application.Query, yield func(event []byte) error) (next string, err error) {
	err = g.ask(ctx, q.Limit == 0, func(ctx context.Context, w *watch) error {
		next, err = g.reader.Query(ctx, q, func(event []byte) error { return w.yield(event, yield) })
		return err
	})
	return next, err
}

// State returns how the guard is now.
func (g *Guard) State() GuardState {
	return GuardState{
		Breaker: g.breaker.State(),
		Waiting: int(g.waiting.running.Load()), MaxWaiting: int(g.waiting.most),
		Streaming: int(g.streams.running.Load()), MaxStreaming: int(g.streams.most),
		Overloads: g.waiting.refused.Load() + g.streams.refused.Load(), Refused: g.refused.Load(),
		Retried: g.retried.Load(), TimedOut: g.timedOut.Load(),
	}
}

var (
	errRefused = fmt.Errorf("%w: the store is away, and queries are refused until it has been tried again", domain.ErrUnavailable)
	errFull    = fmt.Errorf("%w: too many queries are under way", domain.ErrOverloaded)
)

// ask has the query run if it may.
func (g *Guard) ask(ctx context.Context, stream bool, query func(context.Context, *watch) error) error {
	if stream {
		if !g.streams.enter() {
			return errFull
		}
		defer g.streams.leave()
	}
	if !g.waiting.enter() {
		return errFull
	}
	w := newWatch(ctx, g, stream)
	defer w.end()
	if !g.breaker.Await(ctx) {
		g.refused.Add(1)
		return errRefused
	}
	return g.judge(ctx, w, g.try(w, query))
}

// try runs the query, more than once while the store is away and nothing has been yielded.
func (g *Guard) try(w *watch, query func(context.Context, *watch) error) error {
	for attempt := 0; ; attempt++ {
		err := query(w.ctx, w)
		if attempt == g.options.Retries || w.yielded || !away(err) || !w.pause(firstPause<<attempt) {
			return err
		}
		g.retried.Add(1)
	}
}

// judge tells the breaker what the outcome says of the store.
func (g *Guard) judge(ctx context.Context, w *watch, err error) error {
	switch {
	case w.refused != nil: // the caller did not want more; that the store answers has been noted
	case err != nil && w.expired():
		g.timedOut.Add(1)
		g.breaker.Failure()
		return fmt.Errorf("%w: the store did not answer within %s", domain.ErrUnavailable, g.options.Timeout)
	case ctx.Err() != nil:
		g.breaker.Unknown()
	case away(err):
		g.breaker.Failure()
	default:
		g.breaker.Success()
	}
	return err
}

// away says that the store did not do its part; one that does not find something has.
func away(err error) bool {
	return errors.Is(err, domain.ErrUnavailable) && !errors.Is(err, domain.ErrNotFound)
}

// bulkhead bounds how many are inside at a time.
type bulkhead struct {
	most             int64
	running, refused atomic.Int64
}

func (b *bulkhead) enter() bool {
	if b.running.Add(1) <= b.most {
		return true
	}
	b.running.Add(-1)
	b.refused.Add(1)
	return false
}

func (b *bulkhead) leave() { b.running.Add(-1) }

// jittered is about d.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // jitter needs no secrecy
}
