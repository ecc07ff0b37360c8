package netstreamflow

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

const (
	// lagEvery is how often the log is measured.
	lagEvery = 5 * time.Second
	// stuckAfter is how long the consumer may take no record although some wait, before it counts as stuck; hopelessAfter is
	// when only a new start helps.
	stuckAfter    = time.Minute
	hopelessAfter = 5 * time.Minute
	// proofTimeout is how long another reader of the log looks for a record that waits.
	proofTimeout = 10 * time.Second
	// lookAgain is after how many times stuckAfter it is looked again where nothing has changed.
	lookAgain = 10
)

// lag watches how far the consumer is behind the log, and whether it moves.
type lag struct {
	// log is nil where the broker cannot be asked where its log ends.
	log      broker.Bounder
	broker   broker.Broker
	consumer *consumer.Consumer
	topic    string
	// group is "" for a consumer that reads the whole log.
	group  string
	logger *slog.Logger
	// every, patience and proof are lagEvery, stuckAfter and proofTimeout but in tests.
	every, patience, proof time.Duration

	measuring sync.Mutex
	last      measure

	mu sync.Mutex
	// still is what the consumer stands still at.
	still still
}

// measure is how the log and the consumer stood at a time.
type measure struct {
	at         time.Time
	err        error
	partitions int
	place      consumer.Place
	records    int64
	from       map[int32]int64
	bounds     map[int32]application.Bounds
}

// still is where the consumer stands still although it is behind.
type still struct {
	// assigned are the partitions that it had, at where it stands in those that it is behind in.
	assigned []int32
	at       map[int32]standing
	// looked is when it was last looked whether a record waits, records how many offsets it was behind then where it stands still.
	looked  time.Time
	records int64
	// stuck says that a record waits in partition, since when it does not move there.
	stuck     bool
	partition int32
	since     time.Time
}

// standing is an offset, and since when the consumer has not passed it.
type standing struct {
	offset int64
	since  time.Time
}

func newLag(cfg valid, b broker.Broker, s application.Store, c consumers, logger *slog.Logger) *lag {
	l := &lag{
		broker: b, consumer: c.recorder, topic: cfg.Topic, group: cfg.Group, every: lagEvery, patience: stuckAfter, proof: proofTimeout,
		logger: logger.With("part", "consumer"),
	}
	if s.Volatile() {
		l.group = ""
	}
	if measured, ok := b.(broker.Bounder); ok && !isVolatile(b) {
		l.log = measured
	}
	return l
}

// run measures until ctx or stop ends.
func (l *lag) run(ctx context.Context, stop <-chan struct{}) {
	if l.log == nil {
		return
	}
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		l.judge(ctx, l.measure(ctx))
		select {
		case <-tick.C:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// measure returns how things stand, as of a second ago at most.
func (l *lag) measure(ctx context.Context) measure {
	l.measuring.Lock()
	defer l.measuring.Unlock()
	if time.Since(l.last.at) > pingAge {
		// The outcome serves other callers too, so that it must not end with this one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		l.last = l.ask(ctx)
		l.last.at = time.Now()
	}
	return l.last
}

func (l *lag) ask(ctx context.Context) measure {
	bounds, err := l.log.Bounds(ctx, l.topic)
	if err != nil {
		return measure{err: err, place: l.consumer.Place()}
	}
	var kept map[int32]int64
	if p, ok := l.broker.(broker.Placer); ok && l.group != "" {
		if kept, err = p.Places(ctx, l.topic, l.group); err != nil {
			return measure{err: err, place: l.consumer.Place()}
		}
	}
	m := measure{partitions: len(bounds), bounds: bounds, place: l.consumer.Place()}
	m.records, m.from = m.place.Behind(bounds, kept)
	return m
}

// judge notes where the consumer stands still, and finds out whether it should.
func (l *lag) judge(ctx context.Context, m measure) {
	now := time.Now()
	s, moves := l.follow(m, now)
	if moves {
		l.logger.InfoContext(ctx, "the consumer moves again, or cannot for another reason")
	}
	waiting, records := s.longest(m, now.Add(-l.patience))
	if s.stuck || len(waiting) == 0 || now.Sub(s.looked) < l.patience {
		return
	}
	if s.records == records && now.Sub(s.looked) < lookAgain*l.patience {
		return // nothing has come since it was found to be merely idle
	}
	partition, waits := l.waits(ctx, m, waiting)
	l.mu.Lock()
	l.still.looked, l.still.records, l.still.stuck = now, records, waits
	if waits {
		l.still.partition, l.still.since = partition, s.at[partition].since
	}
	l.mu.Unlock()
	if waits {
		l.logger.WarnContext(ctx, "the consumer is stuck: it takes nothing although records wait", "since", s.at[partition].since, "topic", l.topic,
			"group", l.group, "partition", partition, "partitions", m.place.Assigned, "behind", m.records)
	}
}

// follow notes where the consumer stands, and tells whether it was stuck and is not any more.
func (l *lag) follow(m measure, now time.Time) (s still, moves bool) {
	working, _ := l.consumer.Status()
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.still
	s = still{assigned: m.place.Assigned, at: make(map[int32]standing)}
	able := m.err == nil && working
	same := able && slices.Equal(m.place.Assigned, was.assigned)
	if same {
		s.looked, s.records, s.stuck, s.partition, s.since = was.looked, was.records, was.stuck, was.partition, was.since
	}
	for partition, offset := range m.from {
		if !able || offset >= m.bounds[partition].Next {
			continue
		}
		s.at[partition] = standing{offset, now}
		if old, known := was.at[partition]; same && known && old.offset == offset {
			s.at[partition] = old
		}
	}
	s.stuck = s.stuck && s.at[s.partition].since.Equal(s.since)
	l.still = s
	return s, was.stuck && !s.stuck
}

// longest returns where the consumer has stood since before the time, and how many offsets it is behind there.
func (s still) longest(m measure, before time.Time) (from map[int32]int64, records int64) {
	from = make(map[int32]int64)
	for partition, at := range s.at {
		if at.since.Before(before) {
			from[partition] = at.offset
			records += m.bounds[partition].Next - at.offset
		}
	}
	return from, records
}

// waits reads the log beside the consumer, and tells whether in one of the partitions there is a record that it has not taken. What
// lies between it and the end may also be nothing that is ever delivered, such as the marks of transactions: then it is merely idle.
func (l *lag) waits(ctx context.Context, m measure, from map[int32]int64) (partition int32, waits bool) {
	r, ok := l.broker.(broker.Resumer)
	if !ok {
		for partition := range from {
			return partition, true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.proof)
	defer cancel()
	start := make(map[int32]int64, len(m.bounds))
	for partition, b := range m.bounds {
		start[partition] = b.Next
	}
	maps.Copy(start, from)
	sub, err := r.SubscriberFrom("", func(context.Context, string) (map[int32]int64, error) { return start, nil })
	if err != nil {
		return 0, false
	}
	defer sub.Close() //nolint:errcheck // it was only looked
	messages, err := sub.Subscribe(ctx, l.topic)
	if err != nil {
		return 0, false
	}
	for {
		select {
		case msg, open := <-messages:
			if !open {
				return 0, false
			}
			o, _ := application.OriginFrom(msg.Context()) //nolint:contextcheck // only the origin is taken from it
			if at, ours := from[o.Partition]; ours && o.Offset >= at {
				return o.Partition, l.consumer.Place().Next[o.Partition] <= o.Offset
			}
			msg.Ack()
		case <-ctx.Done():
			return 0, false
		}
	}
}

// stuck returns since when the consumer has not moved although records wait; zero while it moves.
func (l *lag) stuck() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.still.stuck {
		return l.still.since
	}
	return time.Time{}
}

// hopeless says that the consumer will not move again by itself.
func (l *lag) hopeless() bool {
	since := l.stuck()
	return !since.IsZero() && time.Since(since) >= hopelessAfter
}

// stuckSince says for people that the consumer is stuck, "" while it is not.
func (l *lag) stuckSince() string {
	since := l.stuck()
	if since.IsZero() {
		return ""
	}
	return "is stuck: it has taken nothing since " + since.UTC().Format(time.RFC3339) + " although records wait"
}
