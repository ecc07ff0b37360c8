// Package circuit is a circuit breaker for calls to a server that may be away: after some failures in a row nothing is tried
// for a while, then one call at a time finds out whether the server is back.
package circuit

import (
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// Breaker is a circuit breaker. It is safe for concurrent use.
type Breaker struct {
	what    string
	logger  *slog.Logger
	circuit circuitbreaker.CircuitBreaker[any]

	mu sync.Mutex
	// since is when it left the closed state, zero while it is closed.
	since time.Time
	// failed is when it opened last: at first, or because a call found the server still away.
	failed time.Time
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
}

// New returns a breaker that opens after so many failures in a row, for so long. The log says of what.
func New(what string, failures uint, pause time.Duration, logger *slog.Logger) *Breaker {
	b := &Breaker{what: what, logger: logger}
	b.circuit = circuitbreaker.NewBuilder[any]().WithFailureThreshold(failures).WithSuccessThreshold(1).WithDelay(pause).
		OnStateChanged(b.changed).Build()
	return b
}

// Allow says whether the call may be made. If so, [Breaker.Success] or [Breaker.Failure] must follow.
func (b *Breaker) Allow() bool { return b.circuit.TryAcquirePermit() }

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
		Due: b.circuit.IsOpen() && b.circuit.RemainingDelay() == 0,
	}
}

// changed follows the circuit, which opens again after each call that found the server away.
func (b *Breaker) changed(e circuitbreaker.StateChangedEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.NewState == circuitbreaker.OpenState {
		b.failed = time.Now()
	}
	switch {
	case e.NewState == circuitbreaker.ClosedState && !b.since.IsZero():
		b.logger.Info(b.what+" is back", "awayFor", time.Since(b.since).Round(time.Millisecond).String())
		b.since, b.failed = time.Time{}, time.Time{}
	case e.NewState == circuitbreaker.OpenState && b.since.IsZero():
		b.logger.Warn(b.what + " is away: it is left alone but for one call a second")
		b.since = time.Now()
	}
}
