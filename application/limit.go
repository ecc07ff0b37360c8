package application

import (
	"context"
	"time"
)

// Quota is what each caller may do: Units at once, which come back evenly over the Window.
type Quota struct {
	Units  int
	Window time.Duration
}

// Limiter holds callers to a quota. It is safe for concurrent use.
type Limiter interface {
	// Quota is the same for every caller.
	Quota() Quota
	// Take takes n units, at least one, of what the caller has, of which held have been taken already for the same request. One
	// who has not been seen for long has all of the quota. More than that can be taken by a caller who has all of it, and owes the
	// rest then. Nothing is taken where the grant does not allow it. A [domain.ErrUnavailable] says that nobody knows, and comes
	// soon.
	Take(ctx context.Context, caller string, n, held int) (Grant, error)
}

// Grant is the answer of a [Limiter].
type Grant struct {
	Allowed bool
	// Remaining is how many units could be taken now.
	Remaining int
	// Next is when another unit comes back, 0 when all are there.
	Next time.Duration
	// Wait is when all n units could be taken, by a request that holds none, 0 where they have been.
	Wait time.Duration
}
