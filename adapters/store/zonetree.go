package store

// Zones form a tree above the numbers of events. A zone of level 0 is 32 events, one of the next level is 256 of those, and so
// on. A node holds the zones of one level that make up a zone of the level above, so that the way from the root to 32
// events is as many nodes as there are levels.
const (
	eventBits = 5
	zoneBits  = 8
	// ZoneFanOut is how many zones make one of the next level.
	ZoneFanOut = 1 << zoneBits
	// ZoneLevels is how many levels there are: a node of the last one holds 2^37 events.
	ZoneLevels = 4
	// maxRun is how many zones of level 0 a run may be put together from one by one.
	maxRun = ZoneFanOut
)

// shift returns how many bits of an event's number are its place in its zone.
func shift(level int) int { return eventBits + zoneBits*level }

// ZoneNode returns the number of the node that holds the event's zone of the level, and the zone's place in it.
func ZoneNode(level int, seq int64) (node int64, place int) {
	zone := seq >> shift(level)
	return zone >> zoneBits, int(zone & (ZoneFanOut - 1))
}

// ZoneTree finds the events that may be of a time.
type ZoneTree struct {
	// Load returns the zones of a node, which may be fewer than [ZoneFanOut], none for a node that is not there.
	Load func(level int, node int64) ([]Zone, error)
	// First and Last are the seconds, since 1970, to look for.
	First, Last int64

	nodes [ZoneLevels]struct {
		number int64
		loaded bool
		zones  []Zone
	}
}

// Run is a row of events by their numbers, both ends included.
type Run struct{ From, To int64 }

// Up returns the first run of events at or behind from, and not behind to, that may be of the time.
func (t *ZoneTree) Up(from, to int64) (run Run, ok bool, err error) {
	for from <= to {
		level, err := t.without(from)
		if err != nil {
			return Run{}, false, err
		}
		if level < 0 {
			end, err := t.extend(from, 1, func(seq int64) bool { return seq <= to })
			return Run{from, min(end, to)}, true, err
		}
		_, from = ends(level, from)
		from++
	}
	return Run{}, false, nil
}

// Down returns the last run of events at or before from, and not before to, that may be of the time.
func (t *ZoneTree) Down(from, to int64) (run Run, ok bool, err error) {
	for from >= to {
		level, err := t.without(from)
		if err != nil {
			return Run{}, false, err
		}
		if level < 0 {
			end, err := t.extend(from, -1, func(seq int64) bool { return seq >= to })
			return Run{max(end, to), from}, true, err
		}
		from, _ = ends(level, from)
		from--
	}
	return Run{}, false, nil
}

// ends returns the first and the last event of a zone.
func ends(level int, seq int64) (first, last int64) {
	size := int64(1) << shift(level)
	first = seq &^ (size - 1)
	return first, first + size - 1
}

// without returns the highest level at which the event's zone has nothing of the time, -1 for none.
func (t *ZoneTree) without(seq int64) (level int, err error) {
	for level := ZoneLevels - 1; level >= 0; level-- {
		zone, err := t.zone(level, seq)
		if err != nil {
			return 0, err
		}
		if !zone.Overlaps(t.First, t.Last) {
			return level, nil
		}
	}
	return -1, nil
}

// extend returns the end of the run in the direction of step. Large zones that are all of the time are taken as a whole.
func (t *ZoneTree) extend(seq, step int64, inside func(int64) bool) (end int64, err error) {
	end = t.edge(0, seq, step)
	for single := 1; single < maxRun && inside(end+step); {
		level, err := t.whole(end + step)
		if err != nil {
			return 0, err
		}
		if level > 0 && t.edge(level, end+step, -step) == end+step {
			end = t.edge(level, end+step, step)
			continue
		}
		if none, err := t.without(end + step); err != nil || none >= 0 {
			return end, err
		}
		end = t.edge(0, end+step, step)
		single++
	}
	return end, nil
}

// edge returns the event of the zone that is farthest in the direction.
func (t *ZoneTree) edge(level int, seq, step int64) int64 {
	first, last := ends(level, seq)
	if step > 0 {
		return last
	}
	return first
}

// whole returns the highest level above 0 whose zone begins or ends at the event and is all of the time, 0 for none.
func (t *ZoneTree) whole(seq int64) (level int, err error) {
	for level := ZoneLevels - 1; level > 0; level-- {
		if first, last := ends(level, seq); seq != first && seq != last {
			continue
		}
		zone, err := t.zone(level, seq)
		if err != nil {
			return 0, err
		}
		if zone.Within(t.First, t.Last) {
			return level, nil
		}
	}
	return 0, nil
}

// zone returns the event's zone; the node that was looked at last is at hand.
func (t *ZoneTree) zone(level int, seq int64) (Zone, error) {
	number, place := ZoneNode(level, seq)
	node := &t.nodes[level]
	if !node.loaded || node.number != number {
		zones, err := t.Load(level, number)
		if err != nil {
			return Zone{}, err
		}
		node.number, node.loaded, node.zones = number, true, zones
	}
	if place >= len(node.zones) {
		return Zone{}, nil
	}
	return node.zones[place], nil
}
