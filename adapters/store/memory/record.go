package memory

import (
	"context"
	"fmt"
	"maps"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Record implements [application.Recorder]. Queries see all of the entries from one moment on.
func (s *Store) Record(ctx context.Context, b application.Batch) (added int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c, err := s.open()
	if err != nil {
		return 0, err
	}
	// Nothing fails once the first entry is taken.
	if err := c.fits(b.Entries); err != nil {
		return 0, err
	}
	first := c.count.Load()
	end := first
	for i := range b.Entries {
		if c.add(&b.Entries[i], end) {
			end++
		}
	}
	c.count.Store(end)
	if s.taken[b.Topic] == nil {
		s.taken[b.Topic] = make(map[int32]int64)
	}
	maps.Copy(s.taken[b.Topic], b.Taken)
	return int(end - first), nil
}

// Positions implements [application.Recorder].
func (s *Store) Positions(_ context.Context, topic string) (map[int32]int64, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, err := s.open(); err != nil {
		return nil, err
	}
	return maps.Clone(s.taken[topic]), nil
}

// fits says whether there is room for the entries, should all be new.
func (c *contents) fits(entries []application.Entry) error {
	total := 0
	for i := range entries {
		total += len(entries[i].Event.JSON())
	}
	if len(entries) > int(c.maxEvents-c.count.Load()) || !c.records.fits(len(entries), total) {
		return fmt.Errorf("the memory store is full: %w", domain.ErrUnavailable)
	}
	if len(c.ordinals)+len(entries) > maxPartitions && c.partitionsWith(entries) > maxPartitions {
		return fmt.Errorf("the memory store holds no more than %d partitions: %w", maxPartitions, domain.ErrUnavailable)
	}
	return nil
}

// partitionsWith returns how many partitions there will be with the entries.
func (c *contents) partitionsWith(entries []application.Entry) int {
	fresh := make(map[int32]bool)
	for i := range entries {
		p := entries[i].Position.Partition
		if _, known := c.ordinals[p]; !known {
			fresh[p] = true
		}
	}
	return len(c.ordinals) + len(fresh)
}

// add takes the entry as event seq, unless its id is there.
func (c *contents) add(e *application.Entry, seq uint32) bool {
	json := e.Event.JSON()
	hash := c.hash(e.Event.ID())
	if _, known := c.find(hash, json[:min(idEnd, len(json))], seq); known {
		return false
	}
	t := stampOf(e.Event.Timestamp())
	ordinal, p := c.partition(e.Position.Partition)
	_, room := c.rows.alloc(1)
	room[0] = newRow(c.records.add(json), ordinal, t)
	c.zone.add(seq, t)
	if seq%zoneRows == zoneRows-1 {
		_, room := c.zones.alloc(1)
		room[0] = c.zone
	}
	p.add(seq, e.Position.Offset)
	c.users.add(e.Event.UserID(), seq)
	c.types.add(e.Event.EventType(), seq)
	c.ids.insert(hash, seq)
	return true
}

// partition returns the partition with that number, which is made on first use.
func (c *contents) partition(number int32) (ordinal int, p *partition) {
	ordinal, known := c.ordinals[number]
	if !known {
		return c.newPartition(number)
	}
	return ordinal, (*c.partitions.Load())[ordinal]
}

func (c *contents) newPartition(number int32) (ordinal int, p *partition) {
	var all []*partition
	if known := c.partitions.Load(); known != nil {
		all = *known
	}
	p = &partition{number: number, words: &c.positions}
	c.ordinals[number] = len(all)
	all = append(all, p)
	c.partitions.Store(&all)
	return len(all) - 1, p
}
