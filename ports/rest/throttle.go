package rest

import (
	"sync/atomic"
	"time"
)

// throttlePeriod is how often the same kind of failure is logged: while a broker is away every request fails.
const throttlePeriod = time.Second

// throttle lets one through a period, and counts the others. The zero value is ready.
type throttle struct {
	next atomic.Int64
	held atomic.Int64
}

// pass says whether this one goes through, and how many did not since the last.
func (t *throttle) pass(now time.Time) (held int64, ok bool) {
	next := t.next.Load()
	if now.UnixNano() < next || !t.next.CompareAndSwap(next, now.Add(throttlePeriod).UnixNano()) {
		t.held.Add(1)
		return 0, false
	}
	return t.held.Swap(0), true
}
