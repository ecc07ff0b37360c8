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
	if len(msgs) == 0 {
		return nil
	}
	if p.broker.keeps(name) {
		return p.broker.keep(msgs)
	}
	t, err := p.broker.topic(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.broker.timeout)
	defer cancel()
	return t.publish(ctx, msgs)
}

// Close implements [message.Publisher].
func (p *publisher) Close() error {
	p.closed.Store(true)
	return nil
}
