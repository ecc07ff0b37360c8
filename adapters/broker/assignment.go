package broker

import (
	"maps"
	"slices"
	"sync"
)

// Assignee is a subscriber that knows which partitions it has.
type Assignee interface {
	// Assigned returns the partitions that the subscriber has now, in order. It is nil while the subscriber is no member of its
	// group, or has no subscription, and empty for a member that the others leave none. It is safe for concurrent use.
	Assigned() []int32
}

// Assignment holds the partitions of a subscriber with one subscription; it implements [Assignee]. The zero value holds none.
// It is safe for concurrent use.
type Assignment struct {
	mu         sync.Mutex
	partitions map[int32]bool
}

// Assign replaces the partitions, which may be none.
func (a *Assignment) Assign(partitions []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.partitions = nil
	a.add(partitions)
}

// Leave notes that the subscriber is no member any more.
func (a *Assignment) Leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.partitions = nil
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
	if a.partitions == nil {
		return nil
	}
	all := slices.AppendSeq(make([]int32, 0, len(a.partitions)), maps.Keys(a.partitions))
	slices.Sort(all)
	return all
}
