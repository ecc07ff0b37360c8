package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// publisher implements [message.Publisher].
type publisher struct {
	settings  settings
	client    sarama.Client
	link      *link
	producers *producers

	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup
}

func newPublisher(s settings, t *topics) (*publisher, error) {
	client, link, err := s.client(s.admin())
	if err != nil {
		return nil, err
	}
	return &publisher{settings: s, client: client, link: link, producers: newProducers(s, t, client)}, nil
}

// Publish implements [message.Publisher] as the contract of a broker asks for it.
func (p *publisher) Publish(topic string, msgs ...*message.Message) error {
	if err := p.enter(); err != nil {
		return err
	}
	b := newBatch(topic, msgs)
	ctx, cancel := context.WithTimeout(contextOf(msgs), p.settings.options.PublishTimeout)
	defer cancel()
	go func() {
		defer p.running.Done()
		defer close(b.done)
		p.send(ctx, b)
	}()
	select {
	case <-b.done:
		return b.outcome(msgs)
	case <-ctx.Done():
		if stuck := b.producer.Load(); stuck != nil {
			p.producers.retire(b.kind(), stuck)
		}
		return b.late(ctx.Err())
	}
}

// contextOf returns the context of a message that is published alone. Several messages end when none of their publishers
// may still wait.
func contextOf(msgs []*message.Message) context.Context {
	if len(msgs) == 1 {
		return msgs[0].Context()
	}
	return context.Background()
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

// send sends the batch, and sends it again until ctx ends where nothing of it was sent.
func (p *publisher) send(ctx context.Context, b *batch) {
	for n := 1; len(b.records) > 0; n++ {
		if !p.try(b) || ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(jittered(n)):
		case <-ctx.Done():
			return
		}
		p.settings.options.NoteRetry()
	}
}

// try returns whether it should be tried again.
func (p *publisher) try(b *batch) (again bool) {
	producer, err := p.acquire(b)
	if err != nil {
		b.fail(err)
		b.reason.Store(&err)
		return true
	}
	b.producer.Store(producer)
	defer p.producers.release(producer)
	b.send(producer)
	if final := b.find(isFinal); final != nil {
		p.settings.logger.Warn("producer replaced", "topic", b.topic, "error", final)
		p.producers.topics.forget(b.topic)
		p.producers.retire(b.kind(), producer)
	}
	if again = b.unsent(); again {
		reason := b.find(isUnsent)
		b.reason.Store(&reason)
	}
	return again
}

// acquire returns a producer for the batch, which must be released.
func (p *publisher) acquire(b *batch) (*producer, error) {
	producer, err := p.producers.acquire(b.kind())
	if err != nil || b.largest <= producer.limit || !p.producers.topics.raised(p.client, b.topic, producer.limit) {
		return producer, err
	}
	p.producers.retire(b.kind(), producer)
	p.producers.release(producer)
	return p.producers.acquire(b.kind())
}

// Close implements [message.Publisher]: it waits for the publications under way, those included that their callers have
// given up, but not longer than the publish time-out.
func (p *publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	patience := time.AfterFunc(p.settings.options.PublishTimeout, p.cut)
	defer patience.Stop()
	p.running.Wait()
	p.cut()
	p.producers.close()
	if !p.client.Closed() {
		_ = p.client.Close() // the connections are gone
	}
	return nil
}

// cut ends all calls under way.
func (p *publisher) cut() {
	p.link.cut()
	p.producers.cut()
}
