package gochannel

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	watermillchannel "github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// topic carries the messages of one topic, on a GoChannel of its own: one that waits for acks holds a lock of all its
// topics, so that a receiver which publishes dead letters could wait for itself.
type topic struct {
	name    string
	channel *watermillchannel.GoChannel
	// turn holds a token while a publication is under way; only its holder changes next.
	turn      chan struct{}
	next      atomic.Int64
	listeners atomic.Int64
	running   sync.WaitGroup
	closing   chan struct{}
}

func newTopic(name string, first int64) *topic {
	t := &topic{
		name: name, turn: make(chan struct{}, 1), closing: make(chan struct{}),
		channel: watermillchannel.NewGoChannel(watermillchannel.Config{
			BlockPublishUntilSubscriberAck: true,
			PreserveContext:                true,
		}, watermill.NopLogger{}),
	}
	t.next.Store(first)
	return t
}

// close ends the subscriptions and waits for the publications. It is called once.
func (t *topic) close() {
	close(t.closing)
	_ = t.channel.Close() // it has no error
	t.running.Wait()
}

// subscribe subscribes to the GoChannel, which waits for the publication under way, and on its own would not end waiting
// when ctx does.
func (t *topic) subscribe(ctx context.Context) (<-chan *message.Message, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: a publication to %s is not acked", domain.ErrUnavailable, t.name)
	}
	carriers, err := t.channel.Subscribe(ctx, t.name)
	if err != nil {
		return nil, errClosed()
	}
	t.listeners.Add(1)
	return carriers, nil
}

// batch is what the GoChannel carries as one message: all messages of one Publish call. A GoChannel delivers one message
// at a time and waits for its ack, which would make the receiver process one event at a time.
type batch struct {
	msgs  []*message.Message
	first int64
	acked atomic.Bool
}

type batchKey struct{}

// publish hands the messages to the subscribers and waits for their acks, until ctx ends.
func (t *topic) publish(ctx context.Context, msgs []*message.Message) error {
	if t.listeners.Load() == 0 {
		return fmt.Errorf("%w: nobody is subscribed to %s", domain.ErrUnavailable, t.name)
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return errNotAcked(t.name)
	}
	b := t.batch(msgs)
	carrier := message.NewMessage(watermill.NewUUID(), nil)
	carrier.SetContext(context.WithValue(context.Background(), batchKey{}, b)) //nolint:contextcheck // it outlives the call
	published := make(chan error, 1)
	t.running.Go(func() {
		defer func() { <-t.turn }()
		published <- t.channel.Publish(t.name, carrier)
	})
	select {
	case err := <-published:
		return t.outcome(b, msgs, err)
	case <-ctx.Done():
		return errNotAcked(t.name)
	}
}

// batch copies the messages, which are the publisher's to change once it has given up, and gives them their places.
func (t *topic) batch(msgs []*message.Message) *batch {
	first := t.next.Load()
	b := &batch{first: first, msgs: make([]*message.Message, len(msgs))}
	now := time.Now()
	for i, msg := range msgs {
		b.msgs[i], _ = recordOf(msg, t.name, first+int64(i), now)
	}
	t.next.Store(first + int64(len(msgs)))
	return b
}

// recordOf copies the message, takes its key off, and gives it its place.
func recordOf(msg *message.Message, topic string, offset int64, now time.Time) (*message.Message, application.Origin) {
	origin := application.Origin{Position: application.Position{Offset: offset}, Topic: topic, Time: now}
	record := msg.Copy()
	if key, ok := record.Metadata[broker.KeyMetadata]; ok {
		origin.Key = []byte(key)
		delete(record.Metadata, broker.KeyMetadata)
	}
	record.SetContext(application.WithOrigin(context.Background(), origin))
	return record, origin
}

// outcome puts the origins on the publisher's messages. A GoChannel also reports success when the subscriptions have ended
// before the ack.
func (t *topic) outcome(b *batch, msgs []*message.Message, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	if !b.acked.Load() {
		return fmt.Errorf("%w: the subscription to %s ended before the ack", domain.ErrUnavailable, t.name)
	}
	for i, msg := range msgs {
		origin, _ := application.OriginFrom(b.msgs[i].Context())
		msg.SetContext(application.WithOrigin(msg.Context(), origin))
	}
	return nil
}

func errNotAcked(topic string) error {
	return fmt.Errorf("%w: the subscribers of %s did not ack in time", domain.ErrUnavailable, topic)
}
