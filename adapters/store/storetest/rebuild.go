package storetest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/netstreamflow/netstreamflow/application"
)

// testRebuild follows cursors over instances of a volatile store that took the partitions of one log in different
// orders, as after a restart or behind a load balancer. All pages together must hold each event once.
func testRebuild(t *testing.T, open func(t *testing.T) application.Store) {
	entries := newLog(5).entries(400)
	earlier, later := entries[:300], entries
	r := rand.New(rand.NewPCG(7, 7))
	first := rebuilt(t, open, interleave(r, earlier))
	others := []*instance{rebuilt(t, open, oneByOne(later)), rebuilt(t, open, interleave(r, later)), rebuilt(t, open, later)}
	for _, q := range variants() {
		for _, q.Limit = range []int{1, 6, 40} {
			want := selected(earlier, q)
			if !q.Descending && len(want) > q.Limit {
				want = selected(later, q) // the other stores have more, which is behind the first page
			}
			hopping := follow(first, q, func(page int) *instance { return others[page%len(others)] })
			first.same("over all, "+describe(q), sorted(hopping), sorted(texts(want)))
			for _, other := range others {
				got := follow(first, q, func(int) *instance { return other })
				first.same("over two, "+describe(q), sorted(got), sorted(texts(want)))
			}
		}
	}
}

// follow takes the first page from one store and the further ones from others. Each page must be in its store's order, and
// each partition in the log's from page to page.
func follow(first *instance, q application.Query, further func(page int) *instance) (all []string) {
	first.Helper()
	at := first
	for page := 0; ; page++ {
		events, next := at.page(q)
		at.inOrder(events, q.Descending)
		all = append(all, events...)
		if next == "" {
			break
		}
		if page > len(first.stored)+len(at.stored) {
			first.Fatalf("%s: there is no end", describe(q))
		}
		at, q.Cursor = further(page), next
	}
	first.partitionsInOrder(all, q.Descending)
	return all
}

// inOrder checks that the events come in the order of the store.
func (s *instance) inOrder(events []string, descending bool) {
	s.Helper()
	for i := 1; i < len(events); i++ {
		if before, after := s.places[events[i-1]], s.places[events[i]]; before == after || before > after != descending {
			s.Fatalf("a page has number %d after number %d", after, before)
		}
	}
}

// partitionsInOrder checks that those events that this instance has come in the order of the log, partition by partition.
func (s *instance) partitionsInOrder(events []string, descending bool) {
	s.Helper()
	last := make(map[int32]int64)
	for _, e := range events {
		place, known := s.places[e]
		if !known {
			continue
		}
		p := s.stored[place].Position
		if before, ok := last[p.Partition]; ok && (before == p.Offset || before > p.Offset != descending) {
			s.Fatalf("offset %d of partition %d comes after %d", p.Offset, p.Partition, before)
		}
		last[p.Partition] = p.Offset
	}
}

// instance is a store that knows at which place each event stands.
type instance struct {
	*stage
	places map[string]int
}

func rebuilt(t *testing.T, open func(t *testing.T) application.Store, entries []application.Entry) *instance {
	t.Helper()
	s := &instance{newStage(t, open), make(map[string]int, len(entries))}
	for batch := range slices.Chunk(entries, 17) {
		s.record(batch...)
	}
	for i, e := range entries {
		s.places[string(e.Event.JSON())] = i
	}
	return s
}

func byPartition(entries []application.Entry) [][]application.Entry {
	var partitions [][]application.Entry
	for _, e := range entries {
		for int(e.Position.Partition) >= len(partitions) {
			partitions = append(partitions, nil)
		}
		p := &partitions[e.Position.Partition]
		*p = append(*p, e)
	}
	return partitions
}

// oneByOne takes the partitions one after another, the last one first.
func oneByOne(entries []application.Entry) []application.Entry {
	partitions := byPartition(entries)
	slices.Reverse(partitions)
	return slices.Concat(partitions...)
}

// interleave takes runs from partitions at random.
func interleave(r *rand.Rand, entries []application.Entry) (out []application.Entry) {
	partitions := byPartition(entries)
	for len(out) < len(entries) {
		p := &partitions[r.IntN(len(partitions))]
		n := min(len(*p), r.IntN(20))
		out, *p = append(out, (*p)[:n]...), (*p)[n:]
	}
	return out
}

func sorted(events []string) []string { return slices.Sorted(slices.Values(events)) }
