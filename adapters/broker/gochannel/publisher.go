package gochannel

import (
	"context"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
)

// publisher implements [message.Publisher].
type publisher struct {
	broker *Broker
	closed atomic.Bool
}

// Publish implements [message.Publisher].
func (p *publisher) Publish(name string, msgs ...*message.Message) error {
	if p.closed.Load() {
		return errClosed()
	}
	t, err := p.broker.topic(name)
	if err != nil || len(msgs) == 0 {
		return err
	}
	if name == p.broker.deadLetter && t.listeners.Load() == 0 {
		p.drop(name, msgs)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.broker.timeout)
	defer cancel()
	return t.publish(ctx, msgs)
}

func (p *publisher) drop(name string, msgs []*message.Message) {
	for _, msg := range msgs {
		p.broker.logger.Error("dead letter dropped: nobody is subscribed to its topic",
			"topic", name, "id", msg.UUID, "headers", msg.Metadata, "value", string(msg.Payload))
	}
}

// Close implements [message.Publisher].
func (p *publisher) Close() error {
	p.closed.Store(true)
	return nil
}
