// Package brokertest holds the contract of a broker as a test suite: what a driver must do so that the rest of the service
// can rely on it, whatever the broker. A driver's test calls [Run].
package brokertest

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// Features say what a broker can do; what it cannot is not tested.
type Features struct {
	// Persistent says that records outlive the broker: they are delivered to who subscribes after they were published, and
	// are there when the broker is opened again with the same options.
	Persistent bool
	// Groups says that members of a group share its partitions, and that the group's place is kept. It needs Persistent.
	Groups bool
	// Shared says that the log can be open twice at once.
	Shared bool
	// Partitions is how many partitions a topic is made with.
	Partitions int
	// Window is how many messages of one partition are delivered ahead of acks, at least; 1 skips the tests of it.
	Window int
	// Limited says that a value of 4 MiB is refused when the largest that must fit is one of 64 KiB.
	Limited bool
	// Produce writes a record as a foreign producer does: key may be nil, headers hold just what is given. Nil skips the
	// tests of foreign records.
	Produce func(t *testing.T, topic string, key, value []byte, headers map[string]string)
	// Patience is how long the suite waits for what must happen, 30 s by default.
	Patience time.Duration
	// Goroutines are options for the check that a closed broker leaves no goroutine behind, such as those of a server
	// in the same process.
	Goroutines []goleak.Option
}

// MaxMessageBytes is the size of the largest value in the options that the suite opens brokers with.
const MaxMessageBytes = 64 << 10

const hugeBytes = 4 << 20

// Run tests the broker that open returns. open is called several times in one test with the same options, which then
// stand for the same log; it need not see to closing. Options.Logger discards; open may set another.
func Run(t *testing.T, open func(t *testing.T, o broker.Options) broker.Broker, f Features) {
	t.Helper()
	if f.Patience == 0 {
		f.Patience = 30 * time.Second
	}
	groups := []map[string]func(*suite){publishing, delivery, lifecycle, letters}
	if f.Persistent {
		groups = append(groups, persistence, resuming, reading, seeking, trimming)
	}
	if f.Persistent && f.Groups {
		groups = append(groups, membership)
	}
	for _, group := range groups {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				checkGoroutines(t, f)
				test(newSuite(t, open, f))
			})
		}
	}
}

// checkGoroutines must be called before the first clean-up is registered, so that it runs after all of them.
func checkGoroutines(t *testing.T, f Features) {
	options := append([]goleak.Option{goleak.IgnoreCurrent()}, f.Goroutines...)
	t.Cleanup(func() {
		if !t.Failed() {
			goleak.VerifyNone(t, options...)
		}
	})
}

// suite is one test of the suite, with options of its own.
type suite struct {
	*testing.T

	Features

	options broker.Options
	opener  func(t *testing.T, o broker.Options) broker.Broker
}

func newSuite(t *testing.T, open func(*testing.T, broker.Options) broker.Broker, f Features) *suite {
	t.Helper()
	topic := "brokertest-" + watermill.NewShortUUID()
	return &suite{T: t, Features: f, opener: open, options: broker.Options{
		Topic:           topic,
		DeadLetterTopic: topic + ".dlq",
		Partitions:      max(1, f.Partitions),
		PublishTimeout:  10 * time.Second,
		MaxMessageBytes: MaxMessageBytes,
		DataDir:         t.TempDir(),
		Logger:          slog.New(slog.DiscardHandler),
	}}
}

// open opens the broker; it is closed, publisher first, when the test ends.
func (s *suite) open() broker.Broker {
	s.Helper()
	b := s.opener(s.T, s.options)
	s.Cleanup(func() { s.shut(b) })
	return b
}

// shut closes the broker as the service does.
func (s *suite) shut(b broker.Broker) {
	s.Helper()
	s.must("close the publisher", b.Publisher().Close)
	s.must("close the broker", b.Close)
}

// within fails the test when do takes longer than the patience.
func (s *suite) within(what string, do func()) {
	s.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(s.Patience):
		s.Fatalf("%s: not done after %v", what, s.Patience)
	}
}

// must fails the test when do fails or takes longer than the patience.
func (s *suite) must(what string, do func() error) {
	s.Helper()
	var err error
	if s.within(what, func() { err = do() }); err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// group returns a name that no other test uses.
func (s *suite) group() string { return "group-" + watermill.NewShortUUID() }

// message returns a new message with the key.
func (s *suite) message(key, payload string) *message.Message {
	msg := message.NewMessage(watermill.NewUUID(), []byte(payload))
	msg.Metadata.Set(broker.KeyMetadata, key)
	return msg
}

// messages returns n messages with one key, so that they are in one partition.
func (s *suite) messages(n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = s.message("one key", fmt.Sprintf("payload %d", i))
	}
	return msgs
}

// publish publishes to the main topic.
func (s *suite) publish(b broker.Broker, msgs ...*message.Message) {
	s.Helper()
	s.must("publish", func() error { return b.Publisher().Publish(s.options.Topic, msgs...) })
}
