package kafka

import (
	"context"
	"errors"
	"sync"

	"github.com/IBM/sarama"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// beginHook implements watermill-kafka's SaramaTracer, which is the way to its Sarama consumers.
type beginHook struct {
	wmkafka.SaramaTracer

	ctx    context.Context //nolint:containedctx // that of the subscription, which Sarama's calls do not know
	begin  beginning
	inHand *inHand
	// assigned learns which partitions there are.
	assigned *broker.Assignment
}

// WrapConsumerGroupHandler implements watermill-kafka's SaramaTracer.
func (h beginHook) WrapConsumerGroupHandler(inner sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return beginHandler{ConsumerGroupHandler: inner, begin: h.begin, inHand: h.inHand, assigned: h.assigned}
}

// WrapConsumer implements watermill-kafka's SaramaTracer.
func (h beginHook) WrapConsumer(inner sarama.Consumer) sarama.Consumer {
	return beginConsumer{Consumer: inner, hook: h}
}

// WrapPartitionConsumer implements watermill-kafka's SaramaTracer.
func (beginHook) WrapPartitionConsumer(inner sarama.PartitionConsumer) sarama.PartitionConsumer {
	return inner
}

// beginHandler puts a generation's places to where they must be, and has its end wait for the ack of what is in hand.
type beginHandler struct {
	sarama.ConsumerGroupHandler

	begin    beginning
	inHand   *inHand
	assigned *broker.Assignment
}

// Setup implements [sarama.ConsumerGroupHandler].
func (h beginHandler) Setup(s sarama.ConsumerGroupSession) error {
	h.assigned.Assign(s.Claims()[h.begin.topic])
	if err := h.begin.reset(s); err != nil {
		return err
	}
	return h.ConsumerGroupHandler.Setup(s)
}

// Cleanup implements [sarama.ConsumerGroupHandler].
func (h beginHandler) Cleanup(s sarama.ConsumerGroupSession) error {
	h.assigned.Leave()
	return h.ConsumerGroupHandler.Cleanup(s)
}

// ConsumeClaim implements [sarama.ConsumerGroupHandler]. At the end of the generation or of the subscription watermill-kafka
// may forget the ack of the record in hand: it does not get to see the former, only that there are no more records, and the
// ack is looked for once more.
func (h beginHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	h.inHand.messages.Delete(claim.Partition()) // of an earlier generation
	records := make(chan *sarama.ConsumerMessage)
	var feeding sync.WaitGroup
	feeding.Go(func() { feed(s.Context(), claim.Messages(), records) })
	defer feeding.Wait()
	endless := endlessSession{ConsumerGroupSession: s, ctx: context.WithoutCancel(s.Context())}
	err := h.ConsumerGroupHandler.ConsumeClaim(endless, fedClaim{ConsumerGroupClaim: claim, records: records})
	if next, ok := h.inHand.acked(claim.Partition()); ok {
		s.MarkOffset(claim.Topic(), claim.Partition(), next, "")
	}
	return err
}

// feed hands over records until the generation ends.
func feed(generation context.Context, from <-chan *sarama.ConsumerMessage, to chan<- *sarama.ConsumerMessage) {
	defer close(to)
	for {
		select {
		case record, open := <-from:
			if !open {
				return
			}
			select {
			case to <- record:
			case <-generation.Done():
				return
			}
		case <-generation.Done():
			return
		}
	}
}

// endlessSession is a generation of a group whose end does not show.
type endlessSession struct {
	sarama.ConsumerGroupSession

	ctx context.Context //nolint:containedctx // Sarama's sessions have one
}

// Context implements [sarama.ConsumerGroupSession].
func (s endlessSession) Context() context.Context { return s.ctx }

// fedClaim is a partition whose records end with the generation.
type fedClaim struct {
	sarama.ConsumerGroupClaim

	records <-chan *sarama.ConsumerMessage
}

// Messages implements [sarama.ConsumerGroupClaim].
func (c fedClaim) Messages() <-chan *sarama.ConsumerMessage { return c.records }

// beginConsumer begins partitions where the receiver stands.
type beginConsumer struct {
	sarama.Consumer

	hook beginHook
}

// ConsumePartition implements [sarama.Consumer].
func (c beginConsumer) ConsumePartition(topic string, partition int32, offset int64) (sarama.PartitionConsumer, error) {
	ctx, cancel := context.WithTimeout(c.hook.ctx, beginTimeout)
	defer cancel()
	c.hook.assigned.Add(partition)
	started, err := c.hook.begin.started(ctx)
	for n := 1; err != nil && ctx.Err() == nil; n++ {
		sleep(ctx, pause(n))
		started, err = c.hook.begin.started(ctx)
	}
	if err != nil {
		return nil, err
	}
	if place := c.hook.begin.offset(started, partition); place >= 0 {
		records, err := c.Consumer.ConsumePartition(topic, partition, place)
		if !errors.Is(err, sarama.ErrOffsetOutOfRange) {
			return records, err
		}
		c.hook.begin.logger.Warn("the place is not in the log: beginning with the first record", "partition", partition, "offset", place)
	}
	return c.Consumer.ConsumePartition(topic, partition, offset)
}
