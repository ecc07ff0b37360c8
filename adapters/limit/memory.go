package limit

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/netstreamflow/netstreamflow/application"
)

const (
	// maxCallers is how many callers are remembered. The one who was seen last is forgotten first, and has all of the quota
	// again: with that many callers at work, one instance's memory is what must be protected.
	maxCallers = 100_000
	// maxCallerBytes is the length of a name above which its hash takes its place.
	maxCallerBytes = 64
)

// Memory is a limiter of this process alone. It implements [application.Limiter].
type Memory struct {
	bucket

	start time.Time

	mu sync.Mutex
	// free is when each caller owes nothing more, since start.
	free *simplelru.LRU[string, time.Duration]
}

var _ application.Limiter = (*Memory)(nil)

// NewMemory returns a limiter of the quota, whose numbers must be positive.
func NewMemory(q application.Quota) *Memory {
	free, err := simplelru.NewLRU[string, time.Duration](maxCallers, nil)
	if err != nil {
		panic(err) // only a size that is not positive
	}
	return &Memory{bucket: bucket{q}, start: time.Now(), free: free}
}

// Quota implements [application.Limiter].
func (m *Memory) Quota() application.Quota { return m.bucket.Quota }

// Take implements [application.Limiter]. Its error is always nil.
func (m *Memory) Take(_ context.Context, caller string, n, held int) (application.Grant, error) {
	if len(caller) > maxCallerBytes {
		hash := sha256.Sum256([]byte(caller))
		caller = string(hash[:])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Since(m.start)
	free, _ := m.free.Get(caller)
	need, cost := m.price(n, held)
	owed, allowed := m.take(max(0, free-now), need, cost)
	if allowed {
		m.free.Add(caller, now+owed)
	}
	return m.grant(owed, n, allowed), nil
}

// Callers is how many callers are remembered now.
func (m *Memory) Callers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free.Len()
}
