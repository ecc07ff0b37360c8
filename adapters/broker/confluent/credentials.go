//go:build cgo

package confluent

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// passwordEvery is how often it is looked whether the password has changed.
const passwordEvery = time.Second

// credentials keep the password of librdkafka's handles current: a handle logs in with the one that it was told last.
type credentials struct {
	username string
	// password is nil without SASL.
	password func() string

	mu sync.Mutex
	// told are the open handles with what they were told.
	told map[handle]string
}

// handle is a producer or a consumer of librdkafka.
type handle interface {
	SetSaslCredentials(username, password string) error
}

func newCredentials(k broker.KafkaURL) *credentials {
	return &credentials{username: k.Username, password: k.Password, told: map[handle]string{}}
}

// with returns the settings with the password as it is now, and that.
func (c *credentials) with(settings *kafka.ConfigMap) (all *kafka.ConfigMap, password string) {
	if c.password == nil {
		return settings, ""
	}
	password = c.password()
	m := maps.Clone(*settings)
	m["sasl.password"] = password
	return &m, password
}

// add has a handle told of other passwords than the one it was made with, until remove, which comes before its end.
func (c *credentials) add(h handle, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[h] = password
}

func (c *credentials) remove(h handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.told, h)
}

// watch tells the handles of a new password until ctx ends.
func (c *credentials) watch(ctx context.Context) {
	if c.password == nil {
		return
	}
	tick := time.NewTicker(passwordEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.tell()
		case <-ctx.Done():
			return
		}
	}
}

func (c *credentials) tell() {
	now := c.password()
	c.mu.Lock()
	defer c.mu.Unlock()
	for h, told := range c.told {
		if told != now && h.SetSaslCredentials(c.username, now) == nil {
			c.told[h] = now
		}
	}
}
