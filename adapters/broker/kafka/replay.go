package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// replay reads all partitions, from their first records or from where the receiver stands.
type replay struct {
	subscription

	client   sarama.Client
	link     *link
	consumer sarama.Consumer
	running  sync.WaitGroup
}

func newReplay(sub subscription) (*replay, error) {
	client, link, err := sub.settings.client(sub.settings.consumer())
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		_ = client.Close() // it was not used
		return nil, err
	}
	return &replay{subscription: sub, client: client, link: link, consumer: consumer}, nil
}

func (r *replay) read(ctx context.Context) {
	stop := context.AfterFunc(ctx, r.link.cut) // there is nothing to commit
	defer stop()
	known := map[int32]bool{}
	for r.retry(ctx, "search for partitions", func() error { return r.start(ctx, known) }) {
		sleep(ctx, refresh)
	}
	r.running.Wait()
	_ = r.consumer.Close() // nothing is under way
	_ = r.client.Close()   // nothing is under way
}

// start reads the partitions that are not known yet.
func (r *replay) start(ctx context.Context, known map[int32]bool) error {
	if len(known) == 0 {
		if _, err := r.topics.ensure(r.client, r.topic); err != nil {
			return err
		}
	}
	if err := r.client.RefreshMetadata(r.topic); err != nil {
		return err
	}
	partitions, err := r.client.Partitions(r.topic)
	if err != nil {
		return err
	}
	partitions = slices.DeleteFunc(slices.Clone(partitions), func(p int32) bool { return known[p] })
	if len(partitions) == 0 {
		return nil
	}
	started, err := r.begin.started(ctx)
	if err != nil {
		return err
	}
	r.assigned.Add(partitions...)
	for _, p := range partitions {
		known[p] = true
		r.running.Go(func() { r.readPartition(ctx, p, r.begin.offset(started, p)) })
	}
	return nil
}

// readPartition delivers the records of one partition, from next on, until ctx ends.
func (r *replay) readPartition(ctx context.Context, partition int32, next int64) {
	d := broker.NewDelivery(ctx, r.out, r.settings.InFlight, func(int64) {})
	defer d.Drain()
	for ctx.Err() == nil {
		var records sarama.PartitionConsumer
		if !r.retry(ctx, "start of a partition", func() (err error) {
			records, err = r.consumer.ConsumePartition(r.topic, partition, next)
			if errors.Is(err, sarama.ErrOffsetOutOfRange) {
				r.logger.Warn("the place is not in the log: beginning with the first record", "partition", partition, "offset", next)
				next = sarama.OffsetOldest
			}
			return err
		}) {
			return
		}
		next = r.deliver(ctx, d, records, next)
	}
}

// deliver hands over records until ctx ends or Sarama gives the partition up, which it does when the next record is out of the
// log's range; it returns the offset to go on at.
func (r *replay) deliver(ctx context.Context, d *broker.Delivery, records sarama.PartitionConsumer, next int64) int64 {
	var errs sync.WaitGroup
	errs.Go(func() {
		for err := range records.Errors() {
			if ctx.Err() == nil {
				r.logger.Warn("partition interrupted", "partition", err.Partition, "error", err.Err)
			}
		}
	})
	defer errs.Wait()
	defer r.drain(records)
	for {
		select {
		case record, open := <-records.Messages():
			if !open && ctx.Err() == nil {
				r.logger.Warn("the place is not in the log any more: beginning with the first record", "offset", next)
				return sarama.OffsetOldest // by now the log may have grown beyond the place, with other records
			}
			if !open || d.Deliver(ctx, receive(ctx, record), record.Offset) != nil {
				return next
			}
			next = record.Offset + 1
		case <-ctx.Done():
			return next
		}
	}
}

// drain closes the partition; Sarama waits for somebody to take what it has.
func (r *replay) drain(records sarama.PartitionConsumer) {
	records.AsyncClose()
	for range records.Messages() { //nolint:revive // it is read again by the next one
	}
}
