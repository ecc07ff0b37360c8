package sqlitelog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/domain"
)

// publisher implements [message.Publisher].
type publisher struct {
	topics  *topics
	writer  *writer
	timeout time.Duration
	// largest is the size of the largest record, in bytes.
	largest int

	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup
}

// Publish implements [message.Publisher] as the contract of a broker asks for it.
func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.running.Done()
	if len(msgs) == 0 {
		return nil
	}
	patience := time.NewTimer(p.timeout)
	defer patience.Stop()
	t, err := p.topic(topic)
	if err != nil {
		return err
	}
	a := newAppending(t, msgs, p.largest)
	if len(a.records) == 0 {
		return a.failure(nil)
	}
	ended := contextOf(msgs).Done()
	select {
	case p.writer.appends <- a:
	case <-patience.C:
		return a.failure(errLate())
	case <-ended:
		return a.failure(errLate())
	}
	select {
	case <-a.done:
		return a.outcome(msgs)
	case <-patience.C:
	case <-ended:
	}
	a.abandoned.Store(true)
	return a.failure(errLate())
}

// topic returns the topic, which is made when it is first used.
func (p *publisher) topic(name string) (*topic, error) {
	if t := p.topics.find(name); t != nil {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	return p.topics.ensure(ctx, name)
}

// contextOf returns the context of a message that is published alone. Several messages end when none of their publishers
// may still wait.
func contextOf(msgs []*message.Message) context.Context {
	if len(msgs) == 1 {
		return msgs[0].Context()
	}
	return context.Background()
}

func errLate() error {
	return fmt.Errorf("%w: the log was not written in time", domain.ErrUnavailable)
}

// enter counts a call that Close must wait for.
func (p *publisher) enter() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errClosed
	}
	p.running.Add(1)
	return nil
}

// Close implements [message.Publisher]: it waits for the publications under way.
func (p *publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.running.Wait()
	return nil
}
