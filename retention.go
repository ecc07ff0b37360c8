package netstreamflow

import (
	"context"
	"log/slog"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

const (
	// retentionEvery is how often old events are looked for, at the longest.
	retentionEvery = time.Minute
	// retentionLimit bounds one search.
	retentionLimit = 10 * time.Minute
)

// retention drops what is older than it has to be kept.
type retention struct {
	cfg    valid
	logger *slog.Logger
	store  application.Store
	// expirer and trimmer are nil where there is nothing to drop.
	expirer application.Expirer
	trimmer broker.Trimmer
	// letters is nil where the dead letters cannot be followed.
	letters *broker.Letters
}

func newRetention(cfg valid, b broker.Broker, s application.Store, i inspecting, logger *slog.Logger) (*retention, error) {
	r := &retention{cfg: cfg, logger: logger.With("part", "retention"), store: s, letters: i.letters}
	if cfg.Retention > 0 {
		var ok bool
		if r.expirer, ok = s.(application.Expirer); !ok {
			return nil, cfg.setting("retention").fault("must be 0 with this store, which keeps everything")
		}
	}
	if cfg.LogRetention > 0 || cfg.LogRetentionBytes > 0 {
		name := "log-retention"
		if cfg.LogRetention == 0 {
			name = "log-retention-bytes"
		}
		var ok bool
		if r.trimmer, ok = b.(broker.Trimmer); !ok {
			return nil, cfg.setting(name).fault("must be 0 with this broker, which sees to its own retention or keeps nothing")
		}
		if s.Volatile() {
			return nil, cfg.setting(name).fault("must be 0 with a store in memory: the log is all that there is")
		}
	}
	return r, nil
}

// run drops until ctx or stop ends.
func (r *retention) run(ctx context.Context, stop <-chan struct{}) {
	if r.expirer == nil && r.trimmer == nil {
		return
	}
	tick := time.NewTicker(r.pause())
	defer tick.Stop()
	for {
		r.drop(ctx)
		select {
		case <-tick.C:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// pause keeps what is dropped late to a tenth of the time that it is kept.
func (r *retention) pause() time.Duration {
	pause := retentionEvery
	for _, keep := range []time.Duration{r.cfg.Retention, r.cfg.LogRetention} {
		if keep > 0 {
			pause = min(pause, max(keep/10, time.Second))
		}
	}
	return pause
}

func (r *retention) drop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, retentionLimit)
	defer cancel()
	if r.expirer != nil {
		removed, err := r.expirer.Expire(ctx, time.Now().Add(-r.cfg.Retention))
		r.report(ctx, "old events were dropped from the store", int64(removed), err)
	}
	if r.trimmer != nil {
		removed, err := r.trim(ctx)
		r.report(ctx, "old records were dropped from the log", removed, err)
	}
	if r.trimmer != nil && r.letters != nil {
		removed, err := r.trimTo(ctx, r.cfg.DeadLetterTopic(), r.letters.Settled())
		r.report(ctx, "old dead letters were dropped from the log", removed, err)
	}
}

func (r *retention) trim(ctx context.Context) (removed int64, err error) {
	taken, err := r.store.Positions(ctx, r.cfg.Topic)
	if err != nil {
		return 0, err
	}
	return r.trimTo(ctx, r.cfg.Topic, taken)
}

// trimTo drops what is old of a topic, but nothing from the offsets on.
func (r *retention) trimTo(ctx context.Context, topic string, taken map[int32]int64) (removed int64, err error) {
	var before time.Time
	if r.cfg.LogRetention > 0 {
		before = time.Now().Add(-r.cfg.LogRetention)
	}
	return r.trimmer.Trim(ctx, topic, before, r.cfg.LogRetentionBytes, taken)
}

func (r *retention) report(ctx context.Context, what string, removed int64, err error) {
	if removed > 0 {
		r.logger.InfoContext(ctx, what, "count", removed)
	}
	if err != nil && ctx.Err() == nil {
		r.logger.WarnContext(ctx, "dropping what is old failed, trying again later", "error", err)
	}
}
