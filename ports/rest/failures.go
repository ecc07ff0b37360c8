package rest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// What one address may do wrong: so many failures at once, and one more each failureEvery.
const (
	failureBurst = 20
	failureEvery = time.Second
	// maxFailing bounds how many addresses are remembered; the one that has been quiet for longest is forgotten.
	maxFailing = 16384
	// tryPatience is how long a try waits for others of its address to end. Most take less than a millisecond, so that a caller
	// who sends much at once with a new token is not taken for one who guesses; those that wait for the issuer take longer.
	tryPatience = 250 * time.Millisecond
)

var (
	errLockedOut = errors.New("too many failures")
	// retryFailed is when one that is locked out may try again: no more is owed than failureBurst failures.
	retryFailed = []string{"1"}
)

// failures bounds how fast somebody can try tokens and keys. It is safe for concurrent use.
type failures struct {
	mu      sync.Mutex
	buckets *simplelru.LRU[string, *tries]
}

// tries are those of one address.
type tries struct {
	// underWay holds each that may yet fail: it counts as if it had.
	underWay chan struct{}
	// users is how many requests have to do with this, forgiven when all failures are; both are guarded by the failures' mu.
	users    int
	forgiven time.Time
}

func newFailures() (*failures, error) {
	buckets, err := simplelru.NewLRU[string, *tries](maxFailing, nil)
	return &failures{buckets: buckets}, err
}

// full says that the address has failed so often that it cannot try more now.
func (f *failures) full(from string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.buckets.Get(from)
	return ok && t.failed() >= failureBurst
}

// failed is how many failures are not forgiven, a part of one counting as one.
func (t *tries) failed() int {
	return int((max(0, time.Until(t.forgiven)) + failureEvery - 1) / failureEvery)
}

// begin has a try of the address count as a failure until its end tells. The error is errLockedOut.
func (f *failures) begin(ctx context.Context, from string) (*tries, error) {
	t := f.use(from)
	if t.enter(ctx) {
		if f.mayTry(t) {
			return t, nil
		}
		<-t.underWay
	}
	f.leave(from, t)
	return nil, errLockedOut
}

// end ends a try.
func (f *failures) end(from string, t *tries, failed bool) {
	if failed {
		f.add(t)
	}
	<-t.underWay
	f.leave(from, t)
}

// enter waits for room among what is under way.
func (t *tries) enter(ctx context.Context) bool {
	select {
	case t.underWay <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(tryPatience)
	defer timer.Stop()
	select {
	case t.underWay <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// mayTry says whether all that is under way may fail.
func (f *failures) mayTry(t *tries) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t.failed()+len(t.underWay) <= failureBurst
}

func (f *failures) add(t *tries) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); t.forgiven.Before(now) {
		t.forgiven = now
	}
	t.forgiven = t.forgiven.Add(failureEvery)
}

func (f *failures) use(from string) *tries {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.buckets.Get(from)
	if !ok {
		t = &tries{underWay: make(chan struct{}, failureBurst)}
		f.buckets.Add(from, t)
	}
	t.users++
	return t
}

// leave forgets the address where there is nothing to remember: it would take the place of one that fails.
func (f *failures) leave(from string, t *tries) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.users--
	if current, _ := f.buckets.Peek(from); t.users == 0 && t.failed() == 0 && current == t {
		f.buckets.Remove(from)
	}
}
