package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// drainTimeout is how long a partition that is to be released waits for the acks of what was delivered. It is below the
// session time-out, so that a receiver that hangs does not hold up the group.
const drainTimeout = 5 * time.Second

// member reads as a member of a group. It implements [sarama.ConsumerGroupHandler].
type member struct {
	subscription

	client sarama.Client
	link   *link
	group  sarama.ConsumerGroup
	// whole is the context of the subscription, which outlives the generations of the group.
	whole context.Context //nolint:containedctx // Sarama's handlers know only the context of a generation
}

func newMember(sub subscription, group string) (*member, error) {
	client, link, err := sub.settings.client(sub.settings.member())
	if err != nil {
		return nil, err
	}
	g, err := sarama.NewConsumerGroupFromClient(group, client)
	if err != nil {
		_ = client.Close() // it was not used
		return nil, err
	}
	return &member{subscription: sub, client: client, link: link, group: g}, nil
}

func (m *member) read(ctx context.Context) {
	m.whole = ctx
	defer cutAfter(ctx, m.link)()
	var errors sync.WaitGroup
	errors.Go(func() {
		for err := range m.group.Errors() {
			m.logger.Warn("consumer group", "error", err)
		}
	})
	m.participate(ctx)
	if err := m.group.Close(); err != nil {
		m.logger.Warn("the group was not left in order", "error", err)
	}
	errors.Wait()
	_ = m.client.Close() // nothing is under way
}

// participate joins the group again after each of its generations. A generation that ends at once, again and again, is not
// that of a healthy group.
func (m *member) participate(ctx context.Context) {
	const healthy, tolerated = time.Second, 5
	short := 0
	for {
		start := time.Now()
		if !m.retry(ctx, "membership", m.join) {
			return
		}
		if short++; time.Since(start) > healthy {
			short = 0
		}
		if short > tolerated {
			sleep(ctx, pause(short-tolerated))
		}
	}
}

// join reads until the group rebalances. A receiver that cannot tell its places is asked before the group is disturbed.
func (m *member) join() error {
	if _, err := m.topics.ensure(m.client, m.topic); err != nil {
		return err
	}
	if _, err := m.begin.started(m.whole); err != nil {
		return err
	}
	return m.group.Consume(m.whole, []string{m.topic}, m)
}

// Setup implements [sarama.ConsumerGroupHandler].
func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.logger.Info("partitions assigned", "partitions", s.Claims()[m.topic], "generation", s.GenerationID())
	m.assigned.Assign(s.Claims()[m.topic])
	return m.begin.reset(s)
}

// Cleanup implements [sarama.ConsumerGroupHandler]. Sarama commits what is marked after it.
func (m *member) Cleanup(s sarama.ConsumerGroupSession) error {
	m.assigned.Leave()
	m.logger.Info("partitions released", "partitions", s.Claims()[m.topic], "generation", s.GenerationID())
	return nil
}

// ConsumeClaim implements [sarama.ConsumerGroupHandler]: it delivers the records of one partition until the generation ends,
// and then waits for acks. What is not acked by then its receiver must not take any more: its context ends before another
// member can begin with it.
func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	ctx, cancel := context.WithCancel(m.whole)
	defer cancel()
	d := broker.NewDelivery(ctx, m.out, m.settings.InFlight, func(next int64) {
		s.MarkOffset(claim.Topic(), claim.Partition(), next, "")
	})
	outOfRange := m.deliver(ctx, s.Context(), d, claim.Messages())
	if isExpelled(s) {
		cancel()
	}
	patience := time.AfterFunc(drainTimeout, cancel)
	defer patience.Stop()
	d.Drain()
	if outOfRange {
		m.logger.Warn("the place is not in the log any more: beginning with the first record", "partition", claim.Partition())
		// By the next generation the log may have grown beyond the place, with other records.
		s.ResetOffset(claim.Topic(), claim.Partition(), 0, "")
	}
	return nil
}

// isExpelled tells whether another member may have the partitions already.
func isExpelled(s sarama.ConsumerGroupSession) bool {
	return isAny(context.Cause(s.Context()), sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration, sarama.ErrFencedInstancedId)
}

// deliver hands over records, on the context of the claim, until the generation ends. It says whether Sarama has given the partition
// up before that, as it does only where the next record is out of the log's range.
func (m *member) deliver(
	claim, generation context.Context, d *broker.Delivery, records <-chan *sarama.ConsumerMessage,
) (outOfRange bool) {
	for {
		select {
		case record, open := <-records:
			if !open {
				return claim.Err() == nil && generation.Err() == nil
			}
			if d.Deliver(generation, receive(claim, record), record.Offset) != nil {
				return false
			}
		case <-generation.Done():
			return false
		}
	}
}
