package netstreamflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

// parts are a broker and a durable store without a service around them.
type parts struct {
	cfg    valid
	logger *slog.Logger
	store  application.Store
	broker broker.Broker
}

// log returns the broker, if its log can be read again.
func (p *parts) log() (broker.Replayable, error) {
	if b, ok := p.broker.(broker.Replayable); ok && !isVolatile(b) {
		return b, p.checkStore()
	}
	return nil, p.cfg.setting("broker").fault("must name a log that can be read again, such as sqlite-log: or kafka://host:port")
}

func (p *parts) checkStore() error {
	if p.store.Volatile() {
		return p.cfg.setting("store").fault("must name a store that outlives this program, such as sqlite: or postgres://host/database")
	}
	return nil
}

// errStopped is the end of a replay before the log's.
var errStopped = errors.New("stopped before the end of the log")

// replay has r take the log from the places of from (the first record where it has none) up to where the log ends now.
// progress, unless nil, is called now and then. The counts are those of the consumer.
func (p *parts) replay(ctx context.Context, log broker.Replayable, r application.Recorder, from map[int32]int64, progress Progress) (consumer.Stats, error) {
	c, err := newConsumerFrom(log, consumer.Options{
		Topic: p.cfg.Topic, Record: application.NewRecord(r), From: from, Bounds: boundsOf(log, p.cfg.Topic),
		Logger: p.logger.With("part", "consumer"),
	}, func(context.Context, string) (map[int32]int64, error) { return from, nil })
	if err != nil {
		return consumer.Stats{}, err
	}
	// What is in hand is finished when ctx ends.
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.WithoutCancel(ctx)) }()
	stopped := follow(ctx, c, progress)
	c.Stop()
	return c.Stats(), errors.Join(stopped, <-ended)
}

// follow returns nil when the consumer has caught up.
func follow(ctx context.Context, c *consumer.Consumer, progress Progress) error {
	tick := newTicker("reading the log", progress)
	defer tick.Stop()
	for {
		select {
		case <-c.CaughtUp():
			tick.tell(c.Progress())
			return nil
		case <-c.Ended():
			return errStopped
		case <-ctx.Done():
			return errStopped
		case <-tick.C:
			tick.tell(c.Progress())
		}
	}
}

// stream calls yield with each event of the store, in order.
func (p *parts) stream(ctx context.Context, yield func(event []byte) error) error {
	if _, err := p.store.Query(ctx, application.Query{}, yield); err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	return nil
}
