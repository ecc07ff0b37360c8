package limit

import (
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// maxTake bounds the units of one question that is for more than a whole quota, far above a batch of events: at one unit a day,
// which is the slowest quota, so many cost 274 years, and a [time.Duration] holds 292.
const maxTake = 100_000

// bucket is the arithmetic of a quota. What a caller owes is the time in which all that was taken comes back.
type bucket struct{ application.Quota }

// cost is the time in which n units come back.
func (b bucket) cost(n int) time.Duration {
	whole, part := n/b.Units, n%b.Units
	return time.Duration(whole)*b.Window + time.Duration(float64(b.Window)*float64(part)/float64(b.Units))
}

// price returns what must be free for n units, of which held have been taken already, and what they cost. Of more units than
// there are, all must be free.
func (b bucket) price(n, held int) (need, cost time.Duration) {
	n, held = min(n, max(maxTake, b.Units)), max(0, held)
	return b.cost(max(0, min(n, b.Units)-held)), b.cost(max(0, n-held))
}

// take returns what is owed after the price has been asked of a caller who owes some already, and whether it could be paid.
func (b bucket) take(owed, need, cost time.Duration) (after time.Duration, allowed bool) {
	if owed+need > b.Window {
		return owed, false
	}
	return owed + cost, true
}

// grant describes what is owed after n units were asked for.
func (b bucket) grant(owed time.Duration, n int, allowed bool) application.Grant {
	g := application.Grant{Allowed: allowed, Remaining: b.remaining(owed)}
	if owed > 0 {
		g.Next = max(0, owed+b.cost(g.Remaining+1)-b.Window)
	}
	if !allowed {
		all, _ := b.price(n, 0)
		g.Wait = owed + all - b.Window
	}
	return g
}

func (b bucket) remaining(owed time.Duration) int {
	free := max(0, b.Window-owed)
	n := int(float64(free) * float64(b.Units) / float64(b.Window))
	// The division may have been rounded either way.
	for n < b.Units && owed+b.cost(n+1) <= b.Window {
		n++
	}
	for n > 0 && owed+b.cost(n) > b.Window {
		n--
	}
	return n
}
