package netstreamflow

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// RebuildOptions say how a store is filled.
type RebuildOptions struct {
	// From leaves out the records that the log took before it, unless zero.
	From time.Time
	// Progress may be nil.
	Progress Progress
}

// Rebuilt is what a rebuild has done.
type Rebuilt struct {
	// Records is how many records were read, Stored how many events were new to the store, Duplicates how many it had, and
	// Rejected how many records held no event.
	Records, Stored, Duplicates, Rejected int64
	// Took is the time of reading and storing.
	Took time.Duration
	// Contents is all that is in the store now.
	Contents application.Checksum
}

// Rebuild fills the store of the configuration from its log, up to where the log ends. It begins where the store stands, so
// that one that was stopped or killed is gone on with; a fresh store begins at the log's first record, or at o.From. The consumer
// group's place is not touched. When ctx ends, what is in hand is finished and the error says that it was stopped.
func Rebuild(ctx context.Context, cfg Config, d Drivers, o RebuildOptions) (Rebuilt, error) {
	p, cleanup, err := openParts(ctx, cfg, d)
	if err != nil {
		return Rebuilt{}, err
	}
	defer cleanup()
	log, err := p.log()
	if err != nil {
		return Rebuilt{}, err
	}
	from, err := p.startOfRebuild(ctx, log, o.From)
	if err != nil {
		return Rebuilt{}, err
	}
	start := time.Now()
	stats, err := p.replay(ctx, log, p.store, from, o.Progress)
	done := Rebuilt{
		Records: stats.Consumed, Stored: stats.Stored, Duplicates: stats.Duplicates, Rejected: stats.PassedOver, Took: time.Since(start),
	}
	if err != nil {
		return done, err
	}
	return done, p.sumUp(ctx, &done.Contents, o.Progress)
}

// startOfRebuild is where the store stands, and at, unless zero, where it has nothing.
func (p *parts) startOfRebuild(ctx context.Context, log broker.Replayable, at time.Time) (map[int32]int64, error) {
	from := map[int32]int64{}
	if !at.IsZero() {
		seeker, ok := log.(broker.Seeker)
		if !ok {
			return nil, domain.Invalid("", "this broker does not find records by time: leave --from out")
		}
		var err error
		if from, err = seeker.OffsetsAt(ctx, p.cfg.Topic, at); err != nil {
			return nil, fmt.Errorf("find the records of %s: %w", at.Format(time.RFC3339), err)
		}
	}
	taken, err := p.store.Positions(ctx, p.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("read the store's positions: %w", err)
	}
	maps.Copy(from, taken)
	return from, nil
}

// sumUp counts and sums up what is in the store.
func (p *parts) sumUp(ctx context.Context, sum *application.Checksum, progress Progress) error {
	tick := newTicker("reading the store", progress)
	defer tick.Stop()
	return p.stream(ctx, func(event []byte) error {
		sum.Add(event)
		tick.now(sum.Events)
		return nil
	})
}
