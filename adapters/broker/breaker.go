package broker

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
)

// breaker is the circuit breaker of one lane, which opens when publications in a row fail fast, or one has taken half the publish
// time-out: drivers try again by themselves, so that it stands for many. While it is not closed, one publication at a time goes
// through as a probe, and everything else is refused.
type breaker struct {
	timeout time.Duration
	policy  circuit.Policy
	logger  *slog.Logger
	// closed mirrors the state of circuit, so that a call costs nothing while all is well.
	closed atomic.Bool
	// opened, tried and reclosed count.
	opened, tried, reclosed atomic.Int64

	mu      sync.Mutex
	circuit circuitbreaker.CircuitBreaker[any]
	// begun is when the publication under way began, zero without one; overdue says that it has taken the whole time-out.
	begun   time.Time
	overdue bool
	// succeeded is when the last publication ended that did not fail.
	succeeded time.Time
	// trial is the probe.
	trial circuit.Trial
	// since is when the breaker left the closed state.
	since time.Time
	// failed is when a publication last found the broker away, or was given up.
	failed time.Time
}

func newBreaker(timeout time.Duration, p circuit.Policy, logger *slog.Logger) *breaker {
	b := &breaker{timeout: timeout, policy: p.OrDefault(), logger: logger, circuit: p.Circuit().Build()}
	b.closed.Store(true)
	return b
}

// admit says whether a call may queue its events, and whether they are the probe, which must then be published.
func (b *breaker) admit() (admitted, probe bool) {
	if b.closed.Load() {
		return true, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.circuit.IsClosed() {
		return true, false
	}
	if b.overdue || !b.circuit.TryAcquirePermit() {
		return false, false
	}
	b.trial.Begin()
	b.tried.Add(1)
	b.logger.Debug("the broker is tried again", "refusedFor", time.Since(b.since).Round(time.Millisecond).String())
	return true, true
}

// lets says whether queued events may still be published.
func (b *breaker) lets(probe bool) bool {
	if b.closed.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.circuit.IsClosed() || probe && b.circuit.IsHalfOpen()
}

// begin notes that a publication begins, and returns when.
func (b *breaker) begin() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = time.Now()
	return b.begun
}

// end notes how it ended, and returns whether that opened the breaker, and when the publication began.
func (b *breaker) end(failed bool) (begun time.Time, opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	begun = b.begun
	now := time.Now()
	b.begun, b.overdue = time.Time{}, false
	defer b.trial.End()
	if !failed {
		b.succeeded = now
		b.circuit.RecordSuccess()
		b.close() // also where the publication had been given up
		return begun, false
	}
	b.circuit.RecordFailure()
	if now.Sub(begun) >= b.timeout/2 {
		b.circuit.Open()
	}
	return begun, b.note()
}

// abandon ends a probe that could not be queued.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.circuit.RecordFailure()
	b.note()
	b.trial.End()
}

// expire opens the breaker when the publication under way has taken the whole time-out, and returns whether it did, and
// when the publication began.
func (b *breaker) expire() (begun time.Time, opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun.IsZero() || time.Since(b.begun) < b.timeout {
		return time.Time{}, false
	}
	b.overdue = true
	b.circuit.Open()
	return b.begun, b.note()
}

// trip opens the breaker on the word of others, unless its own lane has had a success after the given time.
func (b *breaker) trip(after time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.succeeded.After(after) || !b.circuit.IsClosed() {
		return false
	}
	b.circuit.Open()
	return b.note()
}

// note keeps the mirror and the log in step with the circuit, which has just had a failure, and returns whether it has left
// the closed state.
func (b *breaker) note() (opened bool) {
	b.failed = time.Now()
	if b.circuit.IsClosed() || !b.closed.Swap(false) {
		return false
	}
	b.since = time.Now()
	b.opened.Add(1)
	b.logger.Warn("publishing is refused: the broker is away", "retryAfter", b.policy.Pause.String())
	return true
}

func (b *breaker) close() {
	if b.closed.Load() {
		return
	}
	b.circuit.Close()
	b.closed.Store(true)
	b.reclosed.Add(1)
	b.logger.Info("publishing goes on: the broker is back", "refusedFor", time.Since(b.since).Round(time.Millisecond).String())
	b.since = time.Time{}
}

// quiet says that the breaker would let a publication try again, and that none has failed for that long.
func (b *breaker) quiet(period time.Duration) bool {
	if _, open, due := b.state(); !open || !due {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.failed) >= period
}

// state says whether publications are refused, since when, and whether the next one would be the probe.
func (b *breaker) state() (since time.Time, open, due bool) {
	if b.closed.Load() {
		return time.Time{}, false, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	due = b.circuit.IsOpen() && b.circuit.RemainingDelay() == 0 && !b.overdue
	return b.since, !b.since.IsZero(), due
}
