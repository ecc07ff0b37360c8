package netstreamflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/secret"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// valid is a configuration that has been checked.
type valid struct{ Config }

// provideValid checks all that can be checked before anything is opened.
func provideValid(cfg Config, d Drivers) (valid, error) {
	return valid{cfg}, cfg.check(d)
}

// check is Validate with the drivers.
func (c Config) check(d Drivers) error {
	if err := c.Validate(); err != nil {
		return err
	}
	for _, s := range append(c.settings(), c.passedOver...) {
		var err error
		switch s.name {
		case "broker":
			_, err = broker.Driver(d.Brokers, s.get())
		case "store":
			_, _, err = store.Driver(d.Stores, s.get())
		}
		if err != nil {
			return s.fault(err.Error())
		}
	}
	return nil
}

func provideBroker(ctx context.Context, cfg valid, d Drivers, f *folders, k *secret.Keeper, retried onRetry, logger *slog.Logger) (broker.Broker, func(), error) {
	b, err := broker.OpenURL(ctx, d.Brokers, cfg.Broker, broker.Options{
		Topic: cfg.Topic, DeadLetterTopic: cfg.DeadLetterTopic(),
		Partitions: cfg.Partitions, ReplicationFactor: cfg.ReplicationFactor,
		PublishTimeout: cfg.PublishTimeout, MaxMessageBytes: int(cfg.MaxBody) + encodingGrowth,
		Password: k.Current("broker-password"), DataDir: cfg.DataDir, Claim: f.claim, LazySync: cfg.Sync == syncInterval,
		Logger: logger.With("part", "broker"), Retried: retried,
	})
	if err != nil {
		return nil, nil, cfg.openFault("broker", err)
	}
	return b, func() {
		if err := b.Publisher().Close(); err != nil {
			logger.Error("closing the publisher failed", "error", err)
		}
		if err := b.Close(); err != nil {
			logger.Error("closing the broker failed", "error", err)
		}
	}, nil
}

// encodingGrowth is by how much an event's JSON may be longer than the body that it came in: the id and the timestamp may
// have been left out.
const encodingGrowth = 256

func provideStore(ctx context.Context, cfg valid, d Drivers, f *folders, k *secret.Keeper, logger *slog.Logger) (application.Store, func(), error) {
	s, err := store.OpenURL(ctx, d.Stores, cfg.Store, store.Options{
		DataDir: cfg.DataDir, Claim: f.claim, Password: k.Current("store-password"), Logger: logger.With("part", "store"),
	})
	if err != nil {
		return nil, nil, cfg.openFault("store", err)
	}
	return s, func() {
		if err := s.Close(); err != nil {
			logger.Error("closing the store failed", "error", err)
		}
	}, nil
}

// openFault tells a URL that cannot be used from a failure to open what it names.
func (c Config) openFault(name string, err error) error {
	var setting *SettingError
	if errors.As(err, &setting) {
		return setting
	}
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Violations) == 0 {
		return fmt.Errorf("open the %s: %w", name, err)
	}
	return c.setting(name).fault(invalid.Violations[0].Detail)
}

func provideLog(b broker.Broker, cfg valid, t *telemetry, logger *slog.Logger) (*broker.Log, func()) {
	l := broker.NewLog(b, broker.Options{
		Topic: cfg.Topic, PublishTimeout: cfg.PublishTimeout, Logger: logger.With("part", "broker"),
		Headers: t.tracing.headers, Observe: t.called(), Breaker: cfg.breaker(),
	})
	return l, l.Close
}

// spoolFile is the spool's file in the data folder.
const spoolFile = "spool.db"

// provideSpool opens the spool where there is to be one.
func provideSpool(ctx context.Context, cfg valid, d Drivers, f *folders, b broker.Broker, l *broker.Log, t *telemetry, logger *slog.Logger) (*broker.Spool, func(), error) {
	if !cfg.Spool {
		return nil, func() {}, nil
	}
	o := broker.SpoolOptions{Bytes: cfg.SpoolBytes, Options: broker.Options{
		Topic: cfg.Topic, DeadLetterTopic: cfg.DeadLetterTopic(), Partitions: 1, PublishTimeout: broker.SpoolTimeout(cfg.PublishTimeout),
		MaxMessageBytes: int(cfg.MaxBody) + encodingGrowth, DataDir: cfg.DataDir, Claim: f.claim, Logger: logger.With("part", "spool"),
		Headers: t.tracing.headers, Breaker: cfg.breaker(),
	}}
	file := url.URL{Scheme: schemeEmbedded, Opaque: url.PathEscape(filepath.Join(cfg.DataDir, spoolFile))}
	opened, err := broker.OpenURL(ctx, d.Brokers, file.String(), o.Options)
	if err != nil {
		return nil, nil, fmt.Errorf("open the spool: %w", err)
	}
	release := func() {
		if err := errors.Join(opened.Publisher().Close(), opened.Close()); err != nil {
			logger.Error("closing the spool failed", "error", err)
		}
	}
	local, ok := opened.(broker.LocalLog)
	if !ok {
		release()
		return nil, nil, fmt.Errorf("open the spool: the driver %s cannot back one", schemeEmbedded)
	}
	o.PublishTimeout = cfg.PublishTimeout
	s, err := broker.NewSpool(ctx, l, b, local, o)
	if err != nil {
		release()
		return nil, nil, err
	}
	return s, func() {
		s.Close()
		release()
	}, nil
}

// provideEventLog is what requests publish to.
func provideEventLog(l *broker.Log, s *broker.Spool, t *telemetry) application.Log {
	if s != nil {
		return &observedLog{Log: s, telemetry: t}
	}
	return &observedLog{Log: l, telemetry: t}
}

func provideRecord(s application.Store, t *telemetry) *application.Record {
	return application.NewRecord(&observedRecorder{Recorder: s, telemetry: t})
}

func providePublish(log application.Log, cfg valid) *application.Publish {
	return application.NewPublish(log, cfg.PublishTimeout)
}

func provideHandler(
	cfg valid, p *application.Publish, f *application.Find, l *application.Letters, i *application.Inspect, h *health, t *telemetry,
	a *auth.Authenticator, load *rest.Load, limits rest.Limits, logger *slog.Logger,
) (http.Handler, error) {
	return rest.NewHandler(rest.Options{
		Publish: p, Find: f, Letters: l, Inspect: i, Live: h.live, Ready: h.ready, MaxBody: cfg.MaxBody, Version: Version(),
		Logger: logger, Observer: t,
		Authenticate: authenticate(a), Known: known(a), Means: cfg.means(), OwnUser: cfg.AuthOwnUser, Origins: cfg.corsOrigins(), HSTS: cfg.TLSCert != "",
		Load: load, Limits: limits, TrustedProxies: cfg.TrustedProxies, RetryAfter: cfg.BreakerPause,
	})
}

// consumers are those of one instance.
type consumers struct {
	// recorder takes the events into the store.
	recorder *consumer.Consumer
	// inspector keeps the dead letters where the recorder cannot: see provideConsumers.
	inspector *consumer.Consumer
}

func (c consumers) all() []*consumer.Consumer {
	if c.inspector == nil {
		return []*consumer.Consumer{c.recorder}
	}
	return []*consumer.Consumer{c.recorder, c.inspector}
}

// provideConsumers chooses how the log is read. A durable store is filled by a consumer group, which goes on where it
// stopped, or where the store stopped if that is earlier: a store that was put back, or is new, gets what it lacks. A volatile store is a view of the whole log: every instance reads it from the start, and commits nothing. Each
// start of each instance then meets the same poison again, so that a group of its own, which does commit, sees to it that
// each such record becomes a dead letter once.
func provideConsumers(cfg valid, b broker.Broker, s application.Store, r *application.Record, t *telemetry, logger *slog.Logger) (consumers, error) {
	deadLetters := broker.NewDeadLetters(b.Publisher(), cfg.DeadLetterTopic(), logger)
	o := consumer.Options{
		Topic: cfg.Topic, Group: cfg.Group, Record: r, DeadLetters: deadLetters, Logger: logger.With("part", "consumer"), Observe: t.batch(),
		RecordContext: t.tracing.recordContext, GaveUp: t.tracing.gaveUp,
	}
	if s.Volatile() {
		o.Group = ""
	}
	if isVolatile(b) {
		recorder, err := newConsumer(b, o)
		return consumers{recorder: recorder}, err
	}
	if !s.Volatile() {
		recorder, err := newConsumerFrom(b, o, s.Positions)
		return consumers{recorder: recorder}, err
	}
	view := o
	view.DeadLetters = nil
	if measured, ok := b.(broker.Bounder); ok {
		view.Bounds = boundsOf(measured, cfg.Topic)
	}
	recorder, err := newConsumer(b, view)
	if err != nil {
		return consumers{}, err
	}
	o.Group, o.Record, o.Observe = inspectorGroup(cfg), nil, nil
	inspector, err := newConsumer(b, o)
	return consumers{recorder: recorder, inspector: inspector}, err
}

// inspectorGroup is the group that keeps the dead letters where the view cannot.
func inspectorGroup(cfg valid) string { return cfg.Group + ".dead-letters" }

func newConsumer(b broker.Broker, o consumer.Options) (*consumer.Consumer, error) {
	return newConsumerFrom(b, o, nil)
}

// newConsumerFrom makes a consumer that begins where start says, if the broker can do that.
func newConsumerFrom(b broker.Broker, o consumer.Options, start broker.Start) (*consumer.Consumer, error) {
	subscribe := b.Subscriber
	var c *consumer.Consumer
	if r, ok := b.(broker.Resumer); ok && start != nil {
		told := func(ctx context.Context, topic string) (map[int32]int64, error) {
			places, err := start(ctx, topic)
			c.Placed(err)
			return places, err
		}
		subscribe = func(group string) (message.Subscriber, error) { return r.SubscriberFrom(group, told) }
	}
	sub, err := subscribe(o.Group)
	if err != nil {
		return nil, fmt.Errorf("make a subscriber of group %q: %w", o.Group, err)
	}
	if a, ok := sub.(broker.Assignee); ok {
		o.Assigned = a.Assigned
	}
	c = consumer.New(sub, o)
	return c, nil
}

func boundsOf(b broker.Bounder, topic string) func(context.Context) (map[int32]application.Bounds, error) {
	return func(ctx context.Context) (map[int32]application.Bounds, error) {
		ctx, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		return b.Bounds(ctx, topic)
	}
}

func isVolatile(b broker.Broker) bool {
	v, ok := b.(broker.Volatile)
	return ok && v.Volatile()
}
