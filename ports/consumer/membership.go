package consumer

import (
	"sync"
	"time"
)

// rebalanceTime is how long a consumer may be no member of its group before that counts: it is none while the group rebalances, or
// waits for a member that was killed.
const rebalanceTime = 30 * time.Second

// membership notes whether the consumer is a member of its group. It may refuse one: for a protocol that the other members do not
// have, or a right that is missing.
type membership struct {
	mu sync.Mutex
	// begun is when the consumer first subscribed, seen when it was last found to be a member.
	begun, seen time.Time
}

func (m *membership) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun = time.Now()
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
	if m.seen.IsZero() {
		return time.Since(m.begun) <= rebalanceTime, "is no member of its group yet"
	}
	return time.Since(m.seen) <= rebalanceTime, "is no member of its group since " + m.seen.UTC().Format(time.RFC3339)
}
