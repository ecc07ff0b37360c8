package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// spoolGroup is the consumer group whose place in the local log tells what has been forwarded.
const spoolGroup = "spool"

// Spool takes events into a log on this machine while the broker is away, and forwards them when it is back, in order for
// each user. A lane whose partition is away is spooled, the others publish directly; a lane that is spooled stays so until
// everything that waits has been forwarded, so that nothing overtakes. An event may be forwarded twice, with one id. It
// implements [application.Log].
type Spool struct {
	direct  *Log
	local   LocalLog
	options Options
	topic   string
	limit   int64
	timeout time.Duration
	logger  *slog.Logger
	letters *DeadLetters

	// spooled says which lanes are, spooling whether any is. They are set under a read lock of mode, and cleared under its
	// write lock, when nobody appends.
	mode     sync.RWMutex
	spooled  []atomic.Bool
	spooling atomic.Bool
	// era counts how often everything has been forwarded.
	era    atomic.Int64
	closed bool

	// bytes is what the values take that wait. forwarded is the offset behind the last record that has been forwarded.
	bytes     atomic.Int64
	forwarded atomic.Int64

	messages   <-chan *message.Message
	subscriber message.Subscriber
	closing    chan struct{}
	running    sync.WaitGroup
}

// LocalLog is a durable broker with one partition that can back a spool.
type LocalLog interface {
	Broker
	Bounder
	Placer
	Trimmer
	Sizer
}

// SpoolOptions are those of a [Spool].
type SpoolOptions struct {
	Options

	// Bytes is how much may wait, counted in the values of events.
	Bytes int64
}

// SpoolTimeout is the publish time-out for the local log of a spool, of the one for requests. A request may have to wait for
// others to be appended, for the spool to be finished, for an attempt to publish directly, which takes half of what is left, and
// then for its own append.
func SpoolTimeout(publish time.Duration) time.Duration { return publish / 4 }

// anyEra has an append succeed whatever has been forwarded.
const anyEra = -1

var errEra = errors.New("all had been forwarded")

var errFull = fmt.Errorf("%w: the broker is away, and the spool is full", domain.ErrUnavailable)

// NewSpool returns a spool in front of the log, and begins to forward what waits in the local log from earlier times. Its Close
// must be called before that of the log. The options name the topic, the publish time-out and the headers.
func NewSpool(ctx context.Context, direct *Log, remote Broker, local LocalLog, o SpoolOptions) (*Spool, error) {
	s := &Spool{
		direct: direct, local: local, options: o.Options, topic: o.Topic, limit: o.Bytes, timeout: o.PublishTimeout, logger: o.Logger,
		letters: NewDeadLetters(remote.Publisher(), o.DeadLetterTopic, o.Logger),
		spooled: make([]atomic.Bool, len(direct.lanes)), closing: make(chan struct{}),
	}
	if err := s.recover(ctx); err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	var err error
	if s.subscriber, err = local.Subscriber(spoolGroup); err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	if s.messages, err = s.subscriber.Subscribe(context.WithoutCancel(ctx), s.topic); err != nil {
		return nil, errors.Join(fmt.Errorf("read the spool: %w", err), s.subscriber.Close())
	}
	s.running.Go(s.forward)
	return s, nil
}

// recover finds what waits from earlier times.
func (s *Spool) recover(ctx context.Context) error {
	places, err := s.local.Places(ctx, s.topic, spoolGroup)
	if err != nil {
		return err
	}
	if _, err := s.local.Trim(ctx, s.topic, endOfTime(), 0, places); err != nil {
		return err
	}
	bounds, err := s.local.Bounds(ctx, s.topic)
	if err != nil {
		return err
	}
	b := bounds[0]
	place, known := places[0]
	if !known || place < b.First || place > b.Next {
		place = b.First
	}
	s.forwarded.Store(place)
	if place == b.Next {
		return nil
	}
	size, err := s.local.Size(ctx, s.topic)
	s.bytes.Store(size)
	for lane := range s.spooled {
		s.spooled[lane].Store(true)
	}
	s.spooling.Store(true)
	s.logger.InfoContext(ctx, "events wait in the spool from an earlier run", "events", b.Next-place, "bytes", size)
	return err
}

// Publish implements [application.Log]. The attempt to publish directly takes half of what is left of the time.
func (s *Spool) Publish(ctx context.Context, events []domain.Event) (application.Receipt, error) {
	if !s.spooling.Load() {
		return s.publishDirectly(ctx, events)
	}
	era := s.era.Load()
	var spooled, direct part
	for i, e := range events {
		if s.spooled[s.direct.laneOf(e.UserID())].Load() {
			spooled.add(i, e)
		} else {
			direct.add(i, e)
		}
	}
	errs := make(application.PublishError, len(events))
	var receipt application.Receipt
	if len(spooled.events) > 0 {
		err := s.append(ctx, spooled.events, era)
		if errors.Is(err, errEra) {
			return s.publishDirectly(ctx, events)
		}
		receipt.Spooled = spooled.settle(errs, err)
	}
	if len(direct.events) > 0 {
		r, err := s.publishDirectly(ctx, direct.events)
		direct.settle(errs, err)
		receipt.Spooled += r.Spooled
	}
	return receipt, errs.OrNil()
}

// part is a part of the events of a call, with their places in it.
type part struct {
	events []domain.Event
	places []int
}

func (p *part) add(place int, e domain.Event) {
	p.events, p.places = append(p.events, e), append(p.places, place)
}

// settle notes in errs what has become of the part, and returns how many succeeded.
func (p *part) settle(errs application.PublishError, err error) (succeeded int) {
	each := application.EachError(err, len(p.events))
	for n, place := range p.places {
		if errs[place] = each(n); errs[place] == nil {
			succeeded++
		}
	}
	return succeeded
}

// publishDirectly publishes to the broker, and appends those events to the local log that it does not take because it is away.
func (s *Spool) publishDirectly(ctx context.Context, events []domain.Event) (receipt application.Receipt, err error) {
	if err = s.tryDirectly(ctx, events); err == nil {
		return receipt, nil
	}
	each, errs := application.EachError(err, len(events)), make(application.PublishError, len(events))
	// last is where the last event of a user is that the broker has taken.
	last := make(map[string]int)
	for i, e := range events {
		if errs[i] = each(i); errs[i] == nil {
			last[e.UserID()] = i
		}
	}
	var away part
	for i, e := range events {
		// What a later event has overtaken would come behind it: its sender is told that it has failed.
		if taken, some := last[e.UserID()]; errors.Is(errs[i], domain.ErrUnavailable) && (!some || taken < i) {
			away.add(i, e)
		}
	}
	if len(away.events) > 0 {
		receipt.Spooled = away.settle(errs, s.append(ctx, away.events, anyEra))
	}
	return receipt, errs.OrNil()
}

func (s *Spool) tryDirectly(ctx context.Context, events []domain.Event) error {
	patience := s.timeout / 2
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := s.direct.Publish(ctx, events)
	return err
}

// append appends the events to the local log. Their lanes are spooled from now on. The error is errEra, and nothing is done,
// when all had been forwarded since the era.
func (s *Spool) append(ctx context.Context, events []domain.Event, era int64) error {
	s.mode.RLock()
	defer s.mode.RUnlock()
	if s.closed {
		return errClosed
	}
	if era != anyEra && era != s.era.Load() {
		return errEra
	}
	msgs := s.options.encodeAll(ctx, events)
	var size int64
	for _, msg := range msgs {
		size += int64(len(msg.Payload))
	}
	if s.bytes.Add(size) > s.limit {
		s.bytes.Add(-size)
		return errFull
	}
	s.enter(events)
	err := s.local.Publisher().Publish(s.topic, msgs...)
	if err == nil {
		return nil
	}
	s.logger.Error("the spool takes no events", "events", len(events), "error", err)
	each := application.EachError(err, len(events))
	errs := make(application.PublishError, len(events))
	for i := range errs {
		if errs[i] = asKind(each(i)); errs[i] != nil {
			s.bytes.Add(-int64(len(msgs[i].Payload)))
		}
	}
	return errs
}

func (s *Spool) enter(events []domain.Event) {
	for _, e := range events {
		if lane := &s.spooled[s.direct.laneOf(e.UserID())]; !lane.Load() {
			lane.Store(true)
		}
	}
	if !s.spooling.Swap(true) {
		s.logger.Warn("events are spooled: the broker is away")
	}
}

// leave has events published directly again; nothing waits, and the caller holds the write lock of mode.
func (s *Spool) leave() {
	for lane := range s.spooled {
		s.spooled[lane].Store(false)
	}
	s.spooling.Store(false)
	s.era.Add(1)
	s.bytes.Store(0)
	s.logger.Info("all spooled events are forwarded: events go to the broker again")
}

// SpoolStatus tells what waits in a [Spool].
type SpoolStatus struct {
	// Spooling says that events go to the spool.
	Spooling bool
	// Events and Bytes wait for the broker, Limit is how many bytes may.
	Events, Bytes, Limit int64
	// Err says why the local log cannot be asked.
	Err error
}

// Status tells what waits. It is safe for concurrent use.
func (s *Spool) Status(ctx context.Context) SpoolStatus {
	status := SpoolStatus{Spooling: s.spooling.Load(), Bytes: max(0, s.bytes.Load()), Limit: s.limit}
	forwarded := s.forwarded.Load() // first: the other only grows
	bounds, err := s.local.Bounds(ctx, s.topic)
	status.Events, status.Err = max(0, bounds[0].Next-forwarded), err
	return status
}

// Close waits for what is under way, and stops forwarding. What waits stays in the local log, which stays open.
func (s *Spool) Close() {
	s.mode.Lock()
	first := !s.closed
	s.closed = true
	s.mode.Unlock()
	if !first {
		return
	}
	close(s.closing)
	s.running.Wait()
	if err := s.subscriber.Close(); err != nil {
		s.logger.Error("closing the reader of the spool failed", "error", err)
	}
}
