// Package kafkatest holds what the drivers of Kafka promise beside the contract of a broker, as tests of a driver.
package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// patience is how long anything may take.
const patience = 30 * time.Second

// Open opens the driver with servers and the parameters of its URL; the broker is closed when the test ends.
type Open func(t *testing.T, servers, parameters string, o broker.Options) broker.Broker

// batches counts the record batches that are read; each was in one produce request.
type batches struct{ n atomic.Int64 }

// OnFetchBatchRead implements [kgo.HookFetchBatchRead].
func (b *batches) OnFetchBatchRead(kgo.BrokerMetadata, string, int32, kgo.FetchBatchMetrics) {
	b.n.Add(1)
}

// ManyEventsGoTogether publishes a thousand events in one call, as a POST of a batch does: they must not go one after another, each
// with its own request.
func ManyEventsGoTogether(t *testing.T, servers string, o broker.Options, open Open) {
	t.Helper()
	const events, atMost = 1000, 100
	o.Partitions = 6
	log := broker.NewLog(open(t, servers, "", o), o)
	defer log.Close()
	all := make([]domain.Event, events)
	for i := range all {
		var err error
		all[i], err = domain.Draft{UserID: fmt.Sprint("user ", i), EventType: "test"}.Event(time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	var read batches
	reader, err := kgo.NewClient(kgo.SeedBrokers(servers), kgo.ConsumeTopics(o.Topic), kgo.WithHooks(&read))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := 0; n < events; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetches.NumRecords()
	}
	if got := read.n.Load(); got < int64(o.Partitions) || got > atMost {
		t.Errorf("%d events are in %d batches, want %d to %d", events, got, o.Partitions, atMost)
	}
}

// The user of the server, before and after the change.
const (
	user             = "alice"
	oldWord, newWord = "old-secret", "new-secret"
)

// PasswordChanges has a server take another password, and then the service: what is open goes on by itself.
func PasswordChanges(t *testing.T, mechanism string, o broker.Options, open Open) {
	t.Helper()
	address, folder := freeAddress(t), t.TempDir()
	server := func() *kfake.Cluster { return secured(t, address, folder, mechanism) }
	var current atomic.Pointer[string]
	current.Store(new(oldWord))
	first := server()
	o.PublishTimeout = 2 * time.Second
	o.Password = func() string { return *current.Load() }
	b := open(t, address, "sasl="+mechanism+"&username="+user, o)
	before := records(3)
	if err := b.Publisher().Publish(o.Topic, before...); err != nil {
		t.Fatal(err)
	}
	messages := subscribe(t, b, o.Topic)
	for range before {
		receive(t, messages)
	}
	changePassword(t, first, mechanism)
	server()
	if err := b.Publisher().Publish(o.Topic, records(1)...); !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), "-secret") {
		t.Errorf("publish with the old password: %v", err)
	}
	current.Store(new(newWord))
	after := records(1)
	for deadline := time.Now().Add(patience); ; {
		err := b.Publisher().Publish(o.Topic, after...)
		if err == nil {
			break
		}
		if !errors.Is(err, domain.ErrUnavailable) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	// What was acked shortly before the end of the server may come again.
	got := receive(t, messages)
	for got != after[0].UUID {
		got = receive(t, messages)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nobody has used it
	return listener.Addr().String()
}

// secured starts a server that wants a password, and keeps what it has in the folder.
func secured(t *testing.T, address, folder, mechanism string) *kfake.Cluster {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(at.Port), kfake.DataDir(folder), kfake.SyncWrites(),
		kfake.EnableSASL(), kfake.Superuser(mechanism, user, oldWord))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// changePassword has the server take another password for the user, and cuts all connections by its end.
func changePassword(t *testing.T, c *kfake.Cluster, mechanism string) {
	t.Helper()
	auth := scram.Auth{User: user, Pass: oldWord}
	login, kind := auth.AsSha256Mechanism(), kadm.ScramSha256
	if mechanism == "SCRAM-SHA-512" {
		login, kind = auth.AsSha512Mechanism(), kadm.ScramSha512
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.SASL(login))
	if err != nil {
		t.Fatal(err)
	}
	altered, err := kadm.NewClient(client).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kind, Iterations: 4096, Password: newWord}})
	if err == nil {
		err = altered.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	c.Close()
}

func records(n int) []*message.Message {
	all := make([]*message.Message, n)
	for i := range all {
		all[i] = message.NewMessage(watermill.NewUUID(), []byte("{}"))
		all[i].Metadata.Set(broker.KeyMetadata, "key")
	}
	return all
}

func subscribe(t *testing.T, b broker.Broker, topic string) <-chan *message.Message {
	t.Helper()
	subscriber, err := b.Subscriber("group-" + topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := subscriber.Close(); err != nil {
			t.Error(err)
		}
	})
	messages, err := subscriber.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// receive acks the next message and returns its id.
func receive(t *testing.T, messages <-chan *message.Message) string {
	t.Helper()
	select {
	case msg := <-messages:
		msg.Ack()
		return msg.UUID
	case <-time.After(patience):
		t.Fatal("no message came")
		return ""
	}
}
