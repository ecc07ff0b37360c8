package netstreamflow

import (
	"context"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// verifyAtOnce is how many events a pass of a verification may hold in memory, at about 150 bytes each.
const verifyAtOnce = 4_000_000

// Verify compares the store of the configuration with its log: which events one has and the other has not, which differ, and
// which stand in another order for one user. What the store has not taken yet, and what its retention has dropped, need not
// be there. It reads both as often as it takes to stay within some 600 MB of memory, and changes nothing.
func Verify(ctx context.Context, cfg Config, d Drivers, progress Progress) (*application.Report, error) {
	p, cleanup, err := openParts(ctx, cfg, d)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	log, err := p.log()
	if err != nil {
		return nil, err
	}
	taken, err := p.store.Positions(ctx, cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("read the store's positions: %w", err)
	}
	bounds, err := log.Bounds(ctx, cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("measure the log: %w", err)
	}
	v := verification{parts: p, log: log, taken: taken, now: time.Now(), progress: progress}
	passes := 1 + int(records(bounds)/verifyAtOnce)
	for pass := range passes {
		if err := v.pass(ctx, pass, passes, trimmed(bounds)); err != nil {
			return nil, err
		}
	}
	return &v.report, nil
}

func records(bounds map[int32]application.Bounds) (n int64) {
	for _, b := range bounds {
		n += b.Next - b.First
	}
	return n
}

// trimmed says whether the log may have lost its first records.
func trimmed(bounds map[int32]application.Bounds) bool {
	for _, b := range bounds {
		if b.First > 0 {
			return true
		}
	}
	return false
}

type verification struct {
	*parts

	log      broker.Replayable
	taken    map[int32]int64
	now      time.Time
	progress Progress
	report   application.Report
}

func (v *verification) pass(ctx context.Context, pass, passes int, trimmed bool) error {
	c := application.NewComparison(&v.report, pass, passes, trimmed)
	if _, err := v.replay(ctx, v.log, reading{v, c}, nil, v.progress); err != nil {
		return err
	}
	tick := newTicker("reading the store", v.progress)
	defer tick.Stop()
	var done int64
	err := v.stream(ctx, func(event []byte) error {
		done++
		tick.now(done)
		return c.Stored(event)
	})
	if err != nil {
		return err
	}
	c.Done()
	return nil
}

// exempt says whether the store need not have the entry.
func (v *verification) exempt(e application.Entry) bool {
	return e.Position.Offset >= v.taken[e.Position.Partition] ||
		v.cfg.Retention > 0 && e.Accepted.Before(v.now.Add(-v.cfg.Retention))
}

// reading is a store that keeps nothing: it shows the log to a comparison.
type reading struct {
	*verification

	comparison *application.Comparison
}

// Record implements [application.Recorder].
func (r reading) Record(_ context.Context, b application.Batch) (added int, err error) {
	for _, e := range b.Entries {
		r.comparison.Logged(e, r.exempt(e))
	}
	return len(b.Entries), nil
}

// Positions implements [application.Recorder].
func (r reading) Positions(context.Context, string) (map[int32]int64, error) { return nil, nil }
