package sqlitelog

import (
	"context"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// keepTimeout is how long the end of a subscription waits for its group's place to be on disk.
const keepTimeout = 5 * time.Second

// subscription reads one topic.
type subscription struct {
	broker *Broker
	name   string
	group  string
	start  broker.Start
	// assigned is told while the one partition is read.
	assigned *broker.Assignment
	out      chan *message.Message
	logger   *slog.Logger
}

// read delivers records until ctx ends.
func (s *subscription) read(ctx context.Context) {
	var t *topic
	if !s.retry(ctx, "making the topic", func() (err error) {
		t, err = s.broker.topics.ensure(ctx, s.name)
		return err
	}) {
		return
	}
	if s.group == "" {
		s.deliver(ctx, t, func(int64) {})
		return
	}
	at := place{topic: t.id, group: s.group}
	leave, err := s.broker.members.await(ctx, at)
	if err != nil {
		return
	}
	defer leave()
	s.deliver(ctx, t, func(next int64) { s.broker.places.move(at, next) })
	s.keepPlace()
}

// deliver delivers the topic's records from where the subscription begins.
func (s *subscription) deliver(ctx context.Context, t *topic, acked func(next int64)) {
	var next int64
	if !s.retry(ctx, "looking for the place", func() (err error) {
		next, err = s.begin(ctx, t)
		return err
	}) {
		return
	}
	level := slog.LevelInfo
	if s.group == "" {
		level = slog.LevelDebug // whoever only reads takes nothing from others
	}
	s.logger.Log(ctx, level, "partitions assigned", "partitions", []int32{0}, "offset", next)
	s.assigned.Assign([]int32{0})
	defer s.assigned.Leave()
	r := newReader(s.broker.file.reads, t, next)
	defer r.close()
	// The delivery ends after the last call of Deliver, so that what was acked until then counts.
	settling, settled := context.WithCancel(context.WithoutCancel(ctx))
	d := broker.NewDelivery(settling, s.out, window, acked)
	defer d.Drain()
	defer settled()
	for s.retry(ctx, "reading", func() error { return r.load(ctx) }) {
		for _, f := range r.found {
			msg, err := decode(ctx, f.record, originOf(t.name, f.offset, f.milliseconds, f.record.key))
			if err != nil {
				s.logger.Error("a record has lost headers", "offset", f.offset, "error", err)
			}
			if d.Deliver(ctx, msg, f.offset) != nil {
				return
			}
		}
	}
}

// keepPlace has the group's place written now.
func (s *subscription) keepPlace() {
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	if err := s.broker.writer.flush(ctx); err != nil {
		s.logger.Warn("the group's place is not kept yet", "error", err)
	}
}

// begin returns the offset of the first record to deliver.
func (s *subscription) begin(ctx context.Context, t *topic) (int64, error) {
	next, err := s.groupPlace(ctx, t)
	if err != nil || s.start == nil {
		return next, err
	}
	places, err := s.start(ctx, t.name)
	if err != nil {
		return 0, err
	}
	e, _ := t.look()
	started, named := places[0]
	if !named || !e.holds(started) {
		return e.first, nil
	}
	if s.group == "" {
		return started, nil
	}
	return min(started, next), nil
}

// groupPlace returns the group's place, or the first record where it has none, or one that is not in the log.
func (s *subscription) groupPlace(ctx context.Context, t *topic) (int64, error) {
	e, _ := t.look()
	if s.group == "" {
		return e.first, nil
	}
	next, found, err := s.broker.places.find(ctx, s.broker.file.reads, place{topic: t.id, group: s.group})
	if err != nil || !found {
		return e.first, err
	}
	if !e.holds(next) {
		s.logger.Warn("the group's place is not in the log: beginning with the first record", "offset", next, "first", e.first, "next", e.next)
		return e.first, nil
	}
	return next, nil
}

// holds tells whether the offset is that of a record, or of the next one.
func (e ends) holds(offset int64) bool { return offset >= e.first && offset <= e.next }

// end closes the channel. What is still in it was not acked, and is delivered to the next one.
func (s *subscription) end() {
	for {
		select {
		case <-s.out:
		default:
			close(s.out)
			return
		}
	}
}

// The pause before something is tried again: it doubles from the first to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// retry calls do until it succeeds or ctx ends, with pauses; it returns false at the end of ctx.
func (s *subscription) retry(ctx context.Context, what string, do func() error) bool {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		err := do()
		if err == nil {
			return ctx.Err() == nil
		}
		if ctx.Err() != nil {
			return false
		}
		s.logger.Warn("subscription interrupted", "during", what, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return false
}
