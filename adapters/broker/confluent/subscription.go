//go:build cgo

package confluent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

const (
	// pollTime is how long a poll waits for a record, resumeTime while a partition waits to go on.
	pollTime, resumeTime = 50 * time.Millisecond, 5 * time.Millisecond
	// revokeTimeout is how long the receiver may take to ack what it has before its partitions move to another member.
	revokeTimeout = sessionTimeout / 2
	// leaveTimeout is how long Close waits for the last commit and for the group to know.
	leaveTimeout = 5 * time.Second
	// fetchAhead is how many records of a partition librdkafka tries to have ready.
	fetchAhead = 2000
	// complaintInterval is how long an error that stays is not logged again.
	complaintInterval = 30 * time.Second
	// lookout and readAhead are the defaults of the fields of [Broker].
	lookout   = 10 * time.Second
	readAhead = 16 << 20
)

var connectionErrors = []kafka.ErrorCode{kafka.ErrTransport, kafka.ErrAllBrokersDown, kafka.ErrResolve}

// subscription is one consumer of librdkafka with a lane for each of its partitions. One goroutine, that of run, polls and
// owns the lanes.
type subscription struct {
	broker *Broker
	// group is "" where the subscription reads all partitions by itself.
	group string
	// from is nil where the receiver has no places of its own.
	from  broker.Start
	topic string
	// out has room, so that a receiver that was busy finds many messages and not just one of each lane.
	out      chan *message.Message
	ctx      context.Context //nolint:containedctx // the subscription is what the context is the life of
	end      context.CancelFunc
	consumer *kafka.Consumer
	lanes    map[int32]*lane
	holds    *broker.Assignment
	// ready brings the beginnings of partitions; forget ends the search for those of a group.
	ready  chan beginning
	forget context.CancelFunc
	// known is how many partitions a subscription without a group has, or searches the beginnings of.
	known int32
	// found brings to a subscription without a group how many partitions there are.
	found    chan int32
	watching sync.WaitGroup
	// complained tells when an error was logged last.
	complained map[kafka.ErrorCode]time.Time
}

func newSubscription(ctx context.Context, b *Broker, group string, from broker.Start, topic string) *subscription {
	s := &subscription{
		broker: b, group: group, from: from, topic: topic, out: make(chan *message.Message, b.inFlight),
		lanes: map[int32]*lane{}, ready: make(chan beginning), forget: func() {}, found: make(chan int32),
		complained: map[kafka.ErrorCode]time.Time{},
	}
	s.ctx, s.end = context.WithCancel(ctx)
	return s
}

// run serves the consumer until the subscription's context ends.
func (s *subscription) run() {
	defer s.end()
	for s.ctx.Err() == nil {
		s.grow()
		s.take()
		s.handle(s.consumer.Poll(millis(s.wait())))
		s.resume()
	}
	s.watching.Wait()
	s.stop(s.ctx)
	close(s.out)
	s.leave()
}

func (s *subscription) wait() time.Duration {
	for _, l := range s.lanes {
		if l.paused {
			return resumeTime
		}
	}
	return pollTime
}

func (s *subscription) handle(event kafka.Event) {
	switch e := event.(type) {
	case *kafka.Message:
		if e.TopicPartition.Error != nil {
			s.complain(e.TopicPartition.Error)
			return
		}
		s.push(e)
	case kafka.OffsetsCommitted:
		if e.Error != nil && code(e.Error) != kafka.ErrNoOffset {
			s.complain(fmt.Errorf("commit the group's place: %w", e.Error))
		}
	case kafka.Error:
		s.complain(e)
		if e.IsFatal() {
			s.end()
		}
	}
}

// complain logs an error, unless it is like one that was logged not long ago, or of a connection, which librdkafka's own log
// tells of.
func (s *subscription) complain(err error) {
	c := code(err)
	if slices.Contains(connectionErrors, c) || time.Since(s.complained[c]) < complaintInterval {
		return
	}
	s.complained[c] = time.Now()
	s.broker.logger.Warn("Kafka consumer", "topic", s.topic, "group", s.group, "error", err)
}

// push hands a record to its lane, and pauses the partition when the lane is full.
func (s *subscription) push(record *kafka.Message) {
	l := s.lanes[record.TopicPartition.Partition]
	if l == nil {
		return
	}
	l.push(record)
	if l.full() {
		l.paused = s.consumer.Pause([]kafka.TopicPartition{l.partition}) == nil
	}
}

// resume lets partitions go on whose lanes have drained.
func (s *subscription) resume() {
	for _, l := range s.lanes {
		if l.paused && l.drained() {
			l.paused = s.consumer.Resume([]kafka.TopicPartition{l.partition}) != nil
		}
	}
}

// open starts lanes for partitions.
func (s *subscription) open(partitions []int32) {
	limit := max(1, s.broker.readAhead/int64(len(s.lanes)+len(partitions)))
	for _, n := range partitions {
		s.lanes[n] = newLane(s.ctx, kafka.TopicPartition{Topic: &s.topic, Partition: n}, limit, s.out, s.broker.inFlight, s.keep)
	}
	s.holds.Assign(slices.Collect(maps.Keys(s.lanes)))
}

// keep notes the group's place; librdkafka commits it.
func (s *subscription) keep(place kafka.TopicPartition) {
	if s.group == "" {
		return
	}
	if _, err := s.consumer.StoreOffsets([]kafka.TopicPartition{place}); err != nil {
		s.broker.logger.Debug("an acked offset is not kept", "topic", s.topic, "partition", place.Partition, "error", err)
	}
}

// stop ends all lanes, each when what it has delivered is acked, or when patience ends. What then is left in the channel was
// not acked, and is delivered to the next one.
func (s *subscription) stop(patience context.Context) {
	for _, l := range s.lanes {
		l.halt()
	}
	for _, l := range s.lanes {
		l.finish(patience)
	}
	clear(s.lanes)
	s.holds.Leave()
	for {
		select {
		case _, open := <-s.out:
			if !open {
				return // the consumer's end has a last revocation
			}
		default:
			return
		}
	}
}

// leave closes the consumer, which commits the group's place and leaves the group. librdkafka may wait long for a server
// that is away: then it goes on in the background.
func (s *subscription) leave() {
	s.broker.credentials.remove(s.consumer)
	left := make(chan struct{})
	go func() {
		defer close(left)
		if err := s.consumer.Close(); err != nil {
			s.broker.logger.Warn("a Kafka consumer did not close well", "topic", s.topic, "error", err)
		}
	}()
	select {
	case <-left:
	case <-time.After(leaveTimeout):
		s.broker.logger.Warn("Kafka does not answer: the consumer closes in the background", "topic", s.topic)
	}
}
