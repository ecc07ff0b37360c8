package consumer

import (
	"fmt"
	"time"
)

// Status says whether the consumer does its work, and what holds it up; the text names no address and no error's own
// words.
func (c *Consumer) Status() (up bool, detail string) {
	select {
	case <-c.ended:
		return false, "has ended"
	case <-c.stop:
		return false, "is stopping"
	default:
	}
	if t := c.trouble.Load(); t != nil {
		return false, fmt.Sprintf("%s since %s", t.what, t.since.UTC().Format(time.RFC3339))
	}
	select {
	case <-c.subscribed:
	default:
		return false, "has no subscription yet"
	}
	if c.catchUp != nil {
		return c.catchUp.status()
	}
	if c.o.Assigned != nil && c.assigned() == nil {
		return c.membership.status()
	}
	return true, ""
}

// Rebuilding says whether a consumer with Options.Bounds has yet to take what the log held when it began. It is false while the broker
// cannot tell how much that is.
func (c *Consumer) Rebuilding() bool { return c.catchUp != nil && c.catchUp.rebuilding() }

// Alive is false when the consumer has ended although nobody asked it to.
func (c *Consumer) Alive() bool {
	select {
	case <-c.ended:
		return c.stopping()
	default:
		return true
	}
}

// troubled notes what is being tried again, for Status, and logs it.
func (c *Consumer) troubled(what string, attrs ...any) {
	t := &trouble{what: what, since: time.Now()}
	if old := c.trouble.Load(); old != nil && old.what == what {
		t.since = old.since
	}
	c.trouble.Store(t)
	c.counts.retries.Add(1)
	c.o.Logger.Warn(what+", trying again", append(attrs, "since", t.since)...)
}

// Placed notes whether the store tells where to begin, for Status: without that there is nothing to consume.
func (c *Consumer) Placed(err error) {
	if err != nil {
		c.troubled("the store does not tell where to begin", "error", err)
		return
	}
	c.settled()
}

func (c *Consumer) settled() {
	if old := c.trouble.Swap(nil); old != nil {
		c.o.Logger.Info("consumer goes on", "after", old.what, "since", old.since)
	}
}

// Ended is closed when Run has returned.
func (c *Consumer) Ended() <-chan struct{} { return c.ended }
