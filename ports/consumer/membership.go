package consumer

import (
	"sync"
	"time"
)

// rebalanceTime is how long a consumer may be no member of its group, as it is while the group rebalances, before that counts.
const rebalanceTime = 30 * time.Second

// membership notes when the consumer was last seen to be a member of its group. It may refuse one: for a protocol that the other
// members do not have, or a right that is missing.
type membership struct {
	mu   sync.Mutex
	seen time.Time
}

// assigned is Options.Assigned, and notes what it tells.
func (c *Consumer) assigned() []int32 {
	partitions := c.o.Assigned()
	if partitions != nil {
		c.membership.mu.Lock()
		defer c.membership.mu.Unlock()
		c.membership.seen = time.Now()
	}
	return partitions
}

// status is that of a consumer that is no member now.
func (m *membership) status() (up bool, detail string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.seen.IsZero():
		return false, "is no member of its group yet"
	case time.Since(m.seen) > rebalanceTime:
		return false, "is no member of its group since " + m.seen.UTC().Format(time.RFC3339)
	}
	return true, ""
}
