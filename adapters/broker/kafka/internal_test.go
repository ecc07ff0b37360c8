package kafka

import (
	"context"
	"log/slog"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

func TestMarshal(t *testing.T) {
	msg := message.NewMessage("id", []byte("value"))
	for _, name := range []string{"d", "b", "c", "a", broker.KeyMetadata, "_watermill_message_uuid"} {
		msg.Metadata.Set(name, "of "+name)
	}
	broker.SetRepeated(msg.Metadata, []application.Header{
		{Name: "c", Value: "1"}, {Name: broker.KeyMetadata, Value: "1"}, {Name: "b", Value: "1"}, {Name: "_watermill_message_uuid", Value: "1"},
		{Name: "c", Value: "2"}, {Name: broker.RepeatedMetadata, Value: "1"},
	})
	for range 5 {
		record, err := marshaler{}.Marshal("topic", msg)
		if err != nil {
			t.Fatal(err)
		}
		var headers []string
		for _, h := range record.Headers {
			headers = append(headers, string(h.Key)+"="+string(h.Value))
		}
		want := []string{"_watermill_message_uuid=id", "a=of a", "b=1", "b=of b", "c=1", "c=2", "c=of c", "d=of d"}
		if key, _ := record.Key.Encode(); !slices.Equal(headers, want) || string(key) != "of "+broker.KeyMetadata {
			t.Errorf("headers %q, key %q", headers, key)
		}
	}
	record, _ := marshaler{}.Marshal("topic", message.NewMessage("", nil))
	value, _ := record.Value.Encode()
	if record.Key != nil || value != nil || len(record.Headers) != 0 {
		t.Errorf("an empty message has the key %v, the value %q and the headers %v", record.Key, value, record.Headers)
	}
}

func TestUnmarshal(t *testing.T) {
	msg, err := marshaler{}.Unmarshal(&sarama.ConsumerMessage{Headers: []*sarama.RecordHeader{
		{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}, {Key: []byte("nil")}, {},
		{Key: []byte("_watermill_message_uuid"), Value: []byte("id")},
	}})
	if err != nil || msg.UUID != "id" || msg.Metadata["a"] != "2" || len(msg.Metadata) != 4 || len(msg.Payload) != 0 {
		t.Errorf("got %+v, error %v", msg, err)
	}
	if got := broker.Repeated(msg.Metadata); !slices.Equal(got, []application.Header{{Name: "a", Value: "1"}}) {
		t.Errorf("repeated are %q", got)
	}
}

func TestRetriesFillTheTime(t *testing.T) {
	for _, timeout := range []time.Duration{time.Millisecond, time.Second, 10 * time.Second, time.Minute} {
		var total time.Duration
		for n := range retries(timeout) {
			total += pause(n + 1)
		}
		if total < timeout || total > timeout+longestRetry {
			t.Errorf("retries of %v take %v", timeout, total)
		}
	}
}

func TestConfigurationsAreValid(t *testing.T) {
	for _, timeout := range []time.Duration{time.Millisecond, 10 * time.Second, time.Hour} {
		s := settings{options: broker.Options{PublishTimeout: timeout}}
		for name, c := range map[string]*sarama.Config{
			"admin": s.admin(), "producer": s.producer(1 << 20), "consumer": s.consumer(), "member": s.member(),
		} {
			if err := c.Validate(); err != nil {
				t.Errorf("%s, time-out %v: %v", name, timeout, err)
			}
		}
	}
}

// TestKilledMember has a member vanish without leaving the group, as one that is killed: another takes over.
func TestKilledMember(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	o := broker.Options{Topic: "topic", Partitions: 2, PublishTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
	opened, err := Open(t.Context(), &url.URL{Scheme: "kafka", Host: cluster.ListenAddrs()[0]}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	if err := opened.Publisher().Publish("topic", message.NewMessage("1", nil)); err != nil {
		t.Fatal(err)
	}
	start := func() *member {
		m, err := newMember(newSubscription(opened.(*Broker), "topic", "group", nil), "group")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.read(ctx)
		}()
		t.Cleanup(func() {
			cancel()
			<-done
		})
		return m
	}
	first := start()
	<-first.out // and never acks it
	first.link.cut()
	killed := time.Now()
	(<-start().out).Ack()
	if took := time.Since(killed); took > sessionTimeout+5*time.Second {
		t.Errorf("another member took over after %v", took)
	}
}
