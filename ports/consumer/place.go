package consumer

import (
	"maps"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// Place is how far a consumer has come.
type Place struct {
	// Assigned are the partitions that it has now, if Known; nil while it is no member of its group.
	Assigned []int32
	Known    bool
	// Next is, by partition, the offset behind the last record that it has seen through. A partition of which it has seen
	// none is not there; one that it has no more keeps its offset.
	Next map[int32]int64
	// Progressed is when it saw a record through last, zero for never.
	Progressed time.Time
}

// progress notes how far the consumer has come.
type progress struct {
	mu   sync.Mutex
	next map[int32]int64
	at   time.Time
}

func (p *progress) advance(next map[int32]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = time.Now()
	if p.next == nil {
		p.next = make(map[int32]int64, len(next))
	}
	maps.Copy(p.next, next)
}

// Place tells how far the consumer has come. It is safe for concurrent use.
func (c *Consumer) Place() Place {
	c.progress.mu.Lock()
	p := Place{Next: maps.Clone(c.progress.next), Progressed: c.progress.at}
	c.progress.mu.Unlock()
	if c.o.Assigned != nil {
		p.Assigned, p.Known = c.assigned(), true
	}
	return p
}

// Behind returns how many offsets of its partitions are between the consumer and the end of the log, and where it goes on in
// each. kept is the group's place by partition, which is ahead of what the consumer itself knows where another member has had
// the partition meanwhile. Without records of a partition it stands at kept, or else at the first one.
func (p Place) Behind(bounds map[int32]application.Bounds, kept map[int32]int64) (records int64, from map[int32]int64) {
	from = make(map[int32]int64, len(p.Assigned))
	for _, partition := range p.Assigned {
		b, there := bounds[partition]
		if !there {
			continue
		}
		at := max(b.First, min(b.Next, max(p.Next[partition], kept[partition])))
		from[partition] = at
		records += b.Next - at
	}
	return records, from
}
