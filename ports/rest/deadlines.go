package rest

import (
	"sync"
	"time"
)

// patience is how long clients are waited for once the service ends.
const patience = 5 * time.Second

// deadlines are those of the requests that wait for their clients: for a body that is still to come, or for an answer to be taken.
// It is safe for concurrent use.
type deadlines struct {
	mu sync.Mutex
	// longest is how long a wait may be, zero while each may be as long as it likes.
	longest time.Duration
	waiting map[*wait]struct{}
}

// wait is one of them: set is told when it is over.
type wait struct {
	set func(time.Time) error
	at  time.Time
}

// begin has set be told the deadline, and an earlier one if it is brought forward. After end nothing is told any more: what follows
// on the connection must not be held to it. Without deadlines to bring forward, set is told the one that it is.
func (d *deadlines) begin(set func(time.Time) error, timeout time.Duration) (end func()) {
	if d == nil {
		_ = set(time.Now().Add(timeout))
		return func() {}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.longest > 0 {
		timeout = min(timeout, d.longest)
	}
	w := &wait{set, time.Now().Add(timeout)}
	_ = set(w.at) // a connection that has no deadlines does not wait
	if d.waiting == nil {
		d.waiting = make(map[*wait]struct{})
	}
	d.waiting[w] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.waiting, w)
	}
}

// bringForward has no wait last longer than the time-out from now on.
func (d *deadlines) bringForward(timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.longest = timeout
	at := time.Now().Add(timeout)
	for w := range d.waiting {
		if at.Before(w.at) {
			w.at = at
			_ = w.set(at)
		}
	}
}

// Drain has requests wait for their clients for a few seconds more, and at most for the time-out: a body that has not come by then
// gets 408, and an answer of which nothing has been taken is cut off. It is for the end of the service.
func (l *Load) Drain(timeout time.Duration) { l.deadlines.bringForward(min(timeout, patience)) }

// Accepted is how many requests are in flight that the service has accepted and owes an answer to: without those whose body is
// still to come, and those for documents.
func (l *Load) Accepted() int {
	s := l.State()
	return s.Publishing + s.Querying + s.Administering
}
