package netstreamflow

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafka"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
	"github.com/netstreamflow/netstreamflow/application"
)

// deaf is the embedded log, whose groups get nothing until it is opened to them, as if their subscription had died.
type deaf struct {
	*sqlitelog.Broker

	hears chan struct{}
}

// SubscriberFrom implements [broker.Resumer].
func (d *deaf) SubscriberFrom(group string, start broker.Start) (message.Subscriber, error) {
	s, err := d.Broker.SubscriberFrom(group, start)
	if err != nil || group == "" {
		return s, err
	}
	return &deafSubscriber{Subscriber: s, hears: d.hears, to: func(int32) bool { return false }}, nil
}

// deafSubscriber gets nothing before it hears, and never anything of the partitions that it is deaf to.
type deafSubscriber struct {
	message.Subscriber

	hears   chan struct{}
	to      func(partition int32) bool
	running sync.WaitGroup
}

// Assigned implements [broker.Assignee].
func (s *deafSubscriber) Assigned() []int32 { return s.Subscriber.(broker.Assignee).Assigned() }

// Subscribe implements [message.Subscriber].
func (s *deafSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	messages, err := s.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	s.running.Go(func() {
		defer close(out)
		select {
		case <-s.hears:
		case <-ctx.Done():
			return
		}
		for msg := range messages {
			if o, _ := application.OriginFrom(msg.Context()); s.to(o.Partition) { //nolint:contextcheck // only the origin is taken from it
				continue
			}
			select {
			case out <- msg:
			case <-ctx.Done():
				return
			}
		}
	})
	return out, nil
}

// Close implements [message.Subscriber].
func (s *deafSubscriber) Close() error {
	err := s.Subscriber.Close()
	s.running.Wait()
	return err
}

// watched starts a service whose consumer is soon taken for stuck.
func watched(t *testing.T, cfg Config, d Drivers) (app *App, url string) {
	t.Helper()
	cfg.Listen, cfg.DataDir, cfg.LogOutput = "127.0.0.1:0", t.TempDir(), t.Output()
	ctx, stop := context.WithCancel(context.Background())
	app, cleanup, err := New(ctx, cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	app.lag.every, app.lag.patience, app.lag.proof = 50*time.Millisecond, 300*time.Millisecond, 2*time.Second
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with: %v", err)
		}
		cleanup()
	})
	return app, "http://" + app.Addr().String()
}

func askHealth(t *testing.T, address string) (status int, body string) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(content)
}

// awaitHealth waits for the status and the text.
func awaitHealth(t *testing.T, address string, status int, text string) {
	t.Helper()
	var got int
	var body string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, body = askHealth(t, address); got == status && strings.Contains(body, text) {
			return
		}
	}
	t.Fatalf("got %d %s, want %d with %q", got, body, status, text)
}

func postEvent(t *testing.T, address string) {
	t.Helper()
	postEventOf(t, address, "u")
}

func postEventOf(t *testing.T, address, user string) {
	t.Helper()
	res, err := http.Post(address+"/api/events", "application/json", strings.NewReader(`{"userId":"`+user+`","eventType":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatal(res.Status)
	}
}

// TestStuckConsumerIsNoticed has records wait for a consumer that gets none, and then gets them.
func TestStuckConsumerIsNoticed(t *testing.T) {
	hears := make(chan struct{})
	d := BuiltIn()
	d.Brokers[schemeEmbedded] = func(ctx context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
		b, err := sqlitelog.Open(ctx, u, o)
		if err != nil {
			return nil, err
		}
		return &deaf{Broker: b.(*sqlitelog.Broker), hears: hears}, nil
	}
	app, address := watched(t, DefaultConfig(), d)
	awaitHealth(t, address+"/health/ready", http.StatusOK, "has partitions 0, 0 records behind")
	for range 3 {
		postEvent(t, address)
	}
	awaitHealth(t, address+"/health/ready", http.StatusServiceUnavailable, "consumer: is stuck: it has taken nothing since ")
	if _, body := askHealth(t, address+"/health/ready"); !strings.Contains(body, "3 records behind") || !strings.Contains(body, `"topic":{"status":"up","detail":"1 partition"}`) {
		t.Error(body)
	}
	awaitHealth(t, address+"/health/live", http.StatusOK, "")
	app.lag.mu.Lock()
	s := &app.lag.still
	s.since = s.since.Add(-hopelessAfter)
	s.at[s.partition] = standing{s.at[s.partition].offset, s.since}
	app.lag.mu.Unlock()
	awaitHealth(t, address+"/health/live", http.StatusServiceUnavailable, "consumer: is stuck")
	close(hears)
	awaitHealth(t, address+"/health/ready", http.StatusOK, "0 records behind, last progress ")
	awaitHealth(t, address+"/health/live", http.StatusOK, "")
}

// half is a Kafka of whose partition 1 groups get nothing, as if what reads it had died.
type half struct{ *kafka.Broker }

// SubscriberFrom implements [broker.Resumer].
func (h *half) SubscriberFrom(group string, start broker.Start) (message.Subscriber, error) {
	s, err := h.Broker.SubscriberFrom(group, start)
	if err != nil || group == "" {
		return s, err
	}
	hears := make(chan struct{})
	close(hears)
	return &deafSubscriber{Subscriber: s, hears: hears, to: func(partition int32) bool { return partition == 1 }}, nil
}

// TestStuckPartitionIsNoticed has another partition go on all the time.
func TestStuckPartitionIsNoticed(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	d := BuiltIn()
	d.Brokers["kafka"] = func(ctx context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
		b, err := kafka.Open(ctx, u, o)
		if err != nil {
			return nil, err
		}
		return &half{b.(*kafka.Broker)}, nil
	}
	cfg := DefaultConfig()
	cfg.Broker, cfg.Partitions = "kafka://"+cluster.ListenAddrs()[0], 2
	_, address := watched(t, cfg, d)
	awaitHealth(t, address+"/health/ready", http.StatusOK, "has partitions 0-1, 0 records behind")
	user := func(partition int) string {
		for n := 0; ; n++ {
			if user := fmt.Sprint("user-", n); broker.Partition([]byte(user), 2) == partition {
				return user
			}
		}
	}
	postEventOf(t, address, user(1))
	for end := time.Now().Add(30 * time.Second); ; {
		postEventOf(t, address, user(0))
		status, body := askHealth(t, address+"/health/ready")
		if status == http.StatusServiceUnavailable && strings.Contains(body, "consumer: is stuck") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s", status, body)
		}
	}
}

// TestIdleConsumerIsNotStuck has a log end with what no consumer ever gets: the records and the marks of transactions.
func TestIdleConsumerIsNotStuck(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := DefaultConfig()
	cfg.Broker, cfg.Partitions = "kafka://"+cluster.ListenAddrs()[0], 1
	app, address := watched(t, cfg, BuiltIn())
	awaitHealth(t, address+"/health/ready", http.StatusOK, "0 records behind")
	postEvent(t, address)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID("test"), kgo.DefaultProduceTopic(cfg.Topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), kgo.StringRecord("aborted")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, address+"/health/ready", http.StatusOK, "2 records behind, last progress ")
	looked := func() time.Time {
		app.lag.mu.Lock()
		defer app.lag.mu.Unlock()
		return app.lag.still.looked
	}
	for end := time.Now().Add(30 * time.Second); looked().IsZero(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it was not looked whether a record waits")
		}
	}
	if status, body := askHealth(t, address+"/health/ready"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	postEvent(t, address)
	awaitHealth(t, address+"/health/ready", http.StatusOK, "0 records behind")
}

func TestPartitionsText(t *testing.T) {
	many := make([]int32, 100)
	for i := range many {
		many[i] = int32(i) * 2
	}
	for want, partitions := range map[string][]int32{
		"has no partitions": {}, "has partitions 0": {0}, "has partitions 0-2": {0, 1, 2}, "has partitions 1, 3-4, 9": {1, 3, 4, 9},
		"has partitions 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, …": many,
	} {
		if got := partitionsText(partitions); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
