// Package circuit is a circuit breaker for calls to a server that may be away: after some failures in a row nothing is tried
// for a while, then one call at a time finds out whether the server is back.
package circuit

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// Policy says when a breaker opens, and for how long. The zero value is that of [DefaultPolicy].
type Policy struct {
	// Failures is after how many in a row.
	Failures int
	// Pause is how long nothing is tried then.
	Pause time.Duration
}

// DefaultPolicy opens after three failures in a row, for a second.
func DefaultPolicy() Policy { return Policy{Failures: 3, Pause: time.Second} }

// OrDefault is the policy with what it leaves out.
func (p Policy) OrDefault() Policy {
	d := DefaultPolicy()
	return Policy{Failures: cmp.Or(p.Failures, d.Failures), Pause: cmp.Or(p.Pause, d.Pause)}
}

// Circuit begins a bare circuit breaker with the policy, which a single success closes again.
func (p Policy) Circuit() circuitbreaker.Builder[any] {
	p = p.OrDefault()
	return circuitbreaker.NewBuilder[any]().WithFailureThreshold(uint(p.Failures)).WithSuccessThreshold(1).WithDelay(p.Pause)
}

// Transitions count since the start how often a breaker opened, let a call through to find out, and closed again.
type Transitions struct{ Opened, Tried, Closed int64 }

// Breaker is a circuit breaker. It is safe for concurrent use.
type Breaker struct {
	what    string
	pause   time.Duration
	logger  *slog.Logger
	circuit circuitbreaker.CircuitBreaker[any]
	trial   Trial

	mu sync.Mutex
	// since is when it left the closed state, zero while it is closed.
	since time.Time
	// failed is when it opened last: at first, or because a call found the server still away.
	failed      time.Time
	transitions Transitions
}

// State is that of a [Breaker].
type State struct {
	// Open says that calls are refused, all but one at a time that finds out whether the server is back.
	Open bool
	// Due says that the next call would be that one.
	Due bool
	// Since is when it opened, zero while it is not open.
	Since time.Time
	// Failed is when a call last found the server away, zero while it is not open.
	Failed time.Time
	// Transitions since the start.
	Transitions Transitions
}

// New returns a breaker with the policy. The log says of what.
func New(what string, p Policy, logger *slog.Logger) *Breaker {
	b := &Breaker{what: what, pause: p.OrDefault().Pause, logger: logger}
	b.circuit = p.Circuit().OnStateChanged(b.changed).Build()
	return b
}

// Allow says whether the call may be made. If so, [Breaker.Success] or [Breaker.Failure] must follow.
func (b *Breaker) Allow() bool { return b.circuit.TryAcquirePermit() }

// Await is [Breaker.Allow] for calls that may wait a moment: it has them follow a call that is just finding out whether the server is
// back, until ctx ends.
func (b *Breaker) Await(ctx context.Context) bool {
	return b.Allow() || b.trial.Follow(ctx) && b.Allow()
}

// Success notes that the server answered.
func (b *Breaker) Success() { b.circuit.RecordSuccess() }

// Failure notes that it did not.
func (b *Breaker) Failure() { b.circuit.RecordFailure() }

// Unknown notes that the call ended without telling, which is no news unless it was to find out whether the server is back.
func (b *Breaker) Unknown() {
	if b.circuit.IsHalfOpen() {
		b.circuit.RecordFailure()
	}
}

// State returns the state now.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return State{
		Open: !b.since.IsZero(), Since: b.since, Failed: b.failed,
		Due: b.circuit.IsOpen() && b.circuit.RemainingDelay() == 0, Transitions: b.transitions,
	}
}

// changed follows the circuit, which opens again after each call that found the server away.
func (b *Breaker) changed(e circuitbreaker.StateChangedEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.NewState == circuitbreaker.HalfOpenState {
		b.trial.Begin()
	} else {
		defer b.trial.End()
	}
	switch {
	case e.NewState == circuitbreaker.HalfOpenState:
		b.transitions.Tried++
	case e.NewState == circuitbreaker.ClosedState && !b.since.IsZero():
		b.transitions.Closed++
		b.logger.Info(b.what+" is back", "awayFor", time.Since(b.since).Round(time.Millisecond).String())
		b.since, b.failed = time.Time{}, time.Time{}
	case e.NewState == circuitbreaker.OpenState:
		b.failed = time.Now()
		if b.since.IsZero() {
			b.transitions.Opened++
			b.logger.Warn(b.what+" is away: it is left alone but for one call at a time", "triedEvery", b.pause.String())
			b.since = b.failed
		}
	}
}
