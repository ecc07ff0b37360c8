package broker

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// messageContext is the context of a delivered message: it ends with the message's ack or nack, as Watermill has it, or
// with its parent. What it takes to wait for that is made only when somebody asks for it, as a batch of messages is
// usually processed on a context of its own.
type messageContext struct {
	context.Context //nolint:containedctx // the parent

	msg  *message.Message
	once sync.Once
	done chan struct{}
}

// Done implements [context.Context].
func (c *messageContext) Done() <-chan struct{} {
	c.once.Do(func() {
		c.done = make(chan struct{})
		go func() {
			defer close(c.done)
			select {
			case <-c.msg.Acked():
			case <-c.msg.Nacked():
			case <-c.Context.Done():
			}
		}()
	})
	return c.done
}

// Err implements [context.Context].
func (c *messageContext) Err() error {
	select {
	case <-c.msg.Acked():
		return context.Canceled
	case <-c.msg.Nacked():
		return context.Canceled
	default:
		return c.Context.Err()
	}
}
