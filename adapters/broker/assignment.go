package broker

import (
	"maps"
	"slices"
	"sync"
)

// Assignee is a subscriber that knows which partitions it has.
type Assignee interface {
	// Assigned returns the partitions that the subscriber has now, in order; none before its subscription has begun. It is
	// safe for concurrent use.
	Assigned() []int32
}

// Assignment holds the partitions of a subscriber with one subscription; it implements [Assignee]. The zero value holds none.
// It is safe for concurrent use.
type Assignment struct {
	mu         sync.Mutex
	partitions map[int32]bool
}

// Assign replaces the partitions.
func (a *Assignment) Assign(partitions []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.partitions = nil
	a.add(partitions)
}

// Add adds to the partitions.
func (a *Assignment) Add(partitions ...int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.add(partitions)
}

func (a *Assignment) add(partitions []int32) {
	if a.partitions == nil {
		a.partitions = make(map[int32]bool, len(partitions))
	}
	for _, p := range partitions {
		a.partitions[p] = true
	}
}

// Assigned implements [Assignee].
func (a *Assignment) Assigned() []int32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.partitions))
}
