//go:build cgo

package confluent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// client keeps one producer of librdkafka alive: an idempotent producer that has met a fatal error never works again, so
// it is replaced by the next call. The producer serves administrative requests too.
type client struct {
	config      *kafka.ConfigMap
	credentials *credentials
	logger      *slog.Logger
	// background are the goroutines that drain and close producers.
	background sync.WaitGroup

	mu      sync.Mutex
	current *producer
	closed  bool
	// trouble is the last error that librdkafka told of, with the time.
	trouble   error
	troubleAt time.Time
}

// troubleAge is up to what age the last error may explain why there is no answer.
const troubleAge = time.Minute

// producer is a producer with those who use it: librdkafka must not be called once it is closed.
type producer struct {
	*kafka.Producer

	users sync.WaitGroup
}

// acquire returns the producer, which the caller must release.
func (c *client) acquire() (*producer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.current == nil {
		config, password := c.credentials.with(c.config)
		made, err := kafka.NewProducer(config)
		if err != nil {
			return nil, unavailable("make a producer", err)
		}
		c.credentials.add(made, password)
		p := &producer{Producer: made}
		c.background.Go(func() { c.drain(p) })
		c.current = p
	}
	c.current.users.Add(1)
	return c.current, nil
}

func (p *producer) release() { p.users.Done() }

// dead says whether the producer has met a fatal error.
func (p *producer) dead() bool { return p.GetFatalError() != nil }

// drain reads the producer's events, which would else stop it, until it is closed.
func (c *client) drain(p *producer) {
	for event := range p.Events() {
		err, ok := event.(kafka.Error)
		switch {
		case ok && err.IsFatal():
			c.logger.Error("the Kafka producer has met a fatal error and is replaced", "error", err)
			c.retire(p)
		case ok:
			c.logger.Debug("Kafka producer", "error", err)
			c.mu.Lock()
			c.trouble, c.troubleAt = err, time.Now()
			c.mu.Unlock()
		}
	}
}

// isUnanswered says that a call failed as no server answered it.
func isUnanswered(err error) bool {
	return code(err) == kafka.ErrTimedOut || code(err) == kafka.ErrTransport
}

// explain adds to the error of a call that got no answer what librdkafka has told of.
func (c *client) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, context.DeadlineExceeded) && !isUnanswered(err) {
		return err
	}
	if age := time.Since(c.troubleAt); c.trouble != nil && age < troubleAge {
		return fmt.Errorf("%w (%v ago: %w)", err, age.Round(time.Second), c.trouble)
	}
	return err
}

// retire lets the next call make a new producer. The old one is closed when its users have what it still tells them.
func (c *client) retire(p *producer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != p {
		return
	}
	c.current = nil
	c.background.Go(func() {
		p.users.Wait()
		c.credentials.remove(p.Producer)
		p.Close()
	})
}

// close waits for the users of the producer, has it send what it still holds, for as long as the time-out allows, and
// releases it.
func (c *client) close(timeout time.Duration) {
	c.mu.Lock()
	c.closed = true
	p := c.current
	c.current = nil
	c.mu.Unlock()
	if p != nil {
		p.users.Wait()
		p.Flush(millis(timeout))
		c.credentials.remove(p.Producer)
		p.Close()
	}
	c.background.Wait()
}
