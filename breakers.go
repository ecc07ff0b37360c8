package netstreamflow

import (
	"context"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/circuit"
)

const (
	// maxPause bounds the pause of breakers.
	maxPause = 10 * time.Second
	// quietAfter is how long a call that found a part away speaks for it. An open breaker tries one call after each pause, as long
	// as there are calls: in between it would let one through, and is no less open for that. Without calls nobody finds out that
	// the part is back, and an alert must not stand until somebody comes.
	quietAfter = 3 * maxPause
)

// breaker is the policy of all circuit breakers.
func (c *Config) breaker() circuit.Policy {
	return circuit.Policy{Failures: c.BreakerFailures, Pause: c.BreakerPause}
}

// answering says of the parts that have circuit breakers whether they answer a ping. One that cannot be pinged does.
type answering struct{ broker, store, limiter bool }

// answering asks them, unless that has just been done.
func (h *health) answering(ctx context.Context) (a answering) {
	var asking sync.WaitGroup
	asking.Go(func() { a.broker = h.broker.part(ctx).Up })
	asking.Go(func() { a.store = h.store.part(ctx).Up })
	if h.limits != nil {
		asking.Go(func() { a.limiter = h.limits.part(ctx).Up })
	}
	asking.Wait()
	return a
}

// isOpen says that a circuit breaker refuses calls, or would let one through to a part of which the last that is known is that it
// is away.
func isOpen(s circuit.State, answers bool) bool {
	return s.Open && (!s.Due || !answers || time.Since(s.Failed) < quietAfter)
}

// openLanes is how many lanes have breakers like that.
func openLanes(l *broker.Log, answers bool) int {
	open := l.Refusal().Open
	if answers {
		open -= l.Quiet(quietAfter)
	}
	return max(0, open) // one may have been tried in between
}
