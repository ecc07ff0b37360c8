package consumer

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

const (
	// catchUpLook is how often a rebuild is looked at, catchUpLog how often its progress is logged.
	catchUpLook = 200 * time.Millisecond
	catchUpLog  = 5 * time.Second
	// catchUpSilence ends a rebuild whose last offsets hold nothing that is ever delivered, such as the marks of a
	// transaction: nothing has come for this long although the broker answered at its begin and answers at its end.
	catchUpSilence = 10 * time.Second
)

// catchUp follows the rebuild of a view up to where the log stood when it began.
type catchUp struct {
	o Options
	// inHand is 0 while the consumer waits for records, and otherwise the same for as long as it does the same thing.
	inHand func() int64
	// doing is what it last was; it belongs to watch.
	doing int64

	mu     sync.Mutex
	target map[int32]application.Bounds // nil until measured
	// unknown says that the broker could not be asked.
	unknown bool
	next    map[int32]int64 // the offset behind the last record taken, by partition
	// silentSince is when the broker first answered after the last record, zero when it has not been asked.
	silentSince time.Time
	// caughtUp is closed by watch.
	caughtUp chan struct{}
}

func newCatchUp(o Options, inHand func() int64) *catchUp {
	c := &catchUp{o: o, inHand: inHand, next: make(map[int32]int64), caughtUp: make(chan struct{})}
	maps.Copy(c.next, o.From)
	return c
}

// advance notes how far the log has been taken.
func (c *catchUp) advance(next map[int32]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for partition, offset := range next {
		// What a partition gets on top of its target says nothing of the others.
		if b, known := c.target[partition]; known && c.next[partition] < b.Next {
			c.silentSince = time.Time{}
		}
		c.next[partition] = offset
	}
}

// watch measures the log and then follows the rebuild until it is done.
func (c *catchUp) watch(ctx context.Context) {
	if !c.measure(ctx) {
		return
	}
	start := time.Now()
	look, report := time.NewTicker(catchUpLook), time.NewTicker(catchUpLog)
	defer look.Stop()
	defer report.Stop()
	for !c.reached(ctx) {
		select {
		case <-look.C:
		case <-report.C:
			taken, total := c.progress()
			c.o.Logger.InfoContext(ctx, "rebuilding the view", "records", taken, "of", total)
		case <-ctx.Done():
			return
		}
	}
	close(c.caughtUp)
	_, total := c.progress()
	c.o.Logger.InfoContext(ctx, "the view is rebuilt", "records", total, "took", time.Since(start).Round(time.Millisecond).String())
}

func (c *catchUp) measure(ctx context.Context) bool {
	for wait := (backoff{}); ; {
		target, err := c.o.Bounds(ctx)
		if err == nil {
			c.mu.Lock()
			c.target, c.unknown = target, false
			c.mu.Unlock()
			return true
		}
		c.mu.Lock()
		c.unknown = true
		c.mu.Unlock()
		c.o.Logger.WarnContext(ctx, "the length of the log is not known yet, trying again", "attempt", wait.attempt+1, "error", err)
		if !wait.pause(ctx, nil) {
			return false
		}
	}
}

// reached says whether the view is whole.
func (c *catchUp) reached(ctx context.Context) bool {
	taken, total := c.progress()
	return taken >= total || c.silent(ctx)
}

// silent asks the broker at the begin and at the end of a silence. It is none while the consumer is held up: what it waits for may
// be behind what it has in hand.
func (c *catchUp) silent(ctx context.Context) bool {
	doing := c.inHand()
	heldUp := doing != 0 && doing == c.doing
	c.doing = doing
	c.mu.Lock()
	if heldUp {
		c.silentSince = time.Time{}
	}
	since := c.silentSince
	c.mu.Unlock()
	if doing != 0 || !since.IsZero() && time.Since(since) < catchUpSilence {
		return false
	}
	_, err := c.o.Bounds(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.silentSince = time.Time{}
		return false
	}
	if c.silentSince.IsZero() {
		c.silentSince = time.Now()
		return false
	}
	return c.silentSince.Equal(since)
}

// rebuilding says whether it is known, or about to be, that the view lacks something.
func (c *catchUp) rebuilding() bool {
	select {
	case <-c.caughtUp:
		return false
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.unknown
}

// progress counts the offsets behind and those of the whole rebuild.
func (c *catchUp) progress() (taken, total int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for partition, b := range c.target {
		total += b.Next - b.First
		if next, begun := c.next[partition]; begun {
			taken += min(max(next, b.First), b.Next) - b.First
		}
	}
	return taken, total
}

func (c *catchUp) status() (up bool, detail string) {
	select {
	case <-c.caughtUp:
		return true, ""
	default:
	}
	c.mu.Lock()
	measured := c.target != nil
	c.mu.Unlock()
	if !measured {
		return false, "rebuilding the view: the length of the log is not known yet"
	}
	taken, total := c.progress()
	return false, fmt.Sprintf("rebuilding the view: %d of %d records", taken, total)
}
