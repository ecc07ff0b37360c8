//go:build cgo

package confluent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestRestarts restarts a server that keeps its records on disk.
func TestRestarts(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	start := func() *kfake.Cluster {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir), kfake.SyncWrites())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := start()
	defer func() { c.Close() }()
	testRestarts(t, fmt.Sprint("127.0.0.1:", port), func(failed <-chan struct{}) {
		c.Close()
		<-failed
		c = start()
	})
}

// TestAwayIsNotPestered asks about a topic of a server that is gone: the client must not try connection after connection, which
// shows in the processor's time.
func TestAwayIsNotPestered(t *testing.T) {
	server, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(server), o)
	publish(t, b, o.Topic, 1, 1)
	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	before := processorTime(t)
	for ctx.Err() == nil {
		if _, err := b.Bounds(ctx, o.Topic); !errors.Is(err, domain.ErrUnavailable) {
			t.Fatalf("a server that is gone tells the bounds of a topic: %v", err)
		}
	}
	if took := processorTime(t) - before; took > time.Second {
		t.Errorf("3 s without a server took %v of the processor's time", took)
	}
}

// TestQuestionsEndWithTheirContexts asks a server that answers no more.
func TestQuestionsEndWithTheirContexts(t *testing.T) {
	server := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(server), o)
	publish(t, b, o.Topic, 1, 1)
	if _, err := b.Places(t.Context(), o.Topic, "group"); err != nil {
		t.Fatal(err)
	}
	goOn := make(chan struct{})
	defer close(goOn)
	server.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		server.KeepControl()
		server.SleepControl(func() { <-goOn })
		return nil, nil, false
	})
	for what, ask := range map[string]func(ctx context.Context) error{
		"ping":   b.Ping,
		"bounds": func(ctx context.Context) error { _, err := b.Bounds(ctx, o.Topic); return err },
		"places": func(ctx context.Context) error {
			_, err := b.admin.places.of(ctx, "group", named(o.Topic, 1))
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		start := time.Now()
		if err := ask(ctx); err == nil || time.Since(start) > 5*time.Second {
			t.Errorf("%s: %v after %v", what, err, time.Since(start))
		}
	}
}

// named lists the first n partitions of the topic.
func named(topic string, n int) (all []kafka.TopicPartition) {
	for i := range n {
		all = append(all, kafka.TopicPartition{Topic: &topic, Partition: int32(i)})
	}
	return all
}

// processorTime is how long this process has used a processor.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestRestartsOnKafka restarts a real server with the command in the environment, such as
// "scripts/kafka kill && scripts/kafka start". Nothing is run, nor skipped, without it: others may be using the server.
func TestRestartsOnKafka(t *testing.T) {
	command := os.Getenv("NSF_TEST_KAFKA_RESTART")
	if command == "" {
		return
	}
	testRestarts(t, brokertest.FromEnvironment(t, "NSF_TEST_KAFKA"), func(<-chan struct{}) {
		if output, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// testRestarts restarts the server while users publish, each one event after another. What was accepted is there, in the
// order in which it was accepted, for a member of a group and for a replay that were there all the time.
func testRestarts(t *testing.T, servers string, restart func(failed <-chan struct{})) {
	const restarts = 3
	o := benchOptions()
	o.Partitions, o.PublishTimeout = 3, 2*time.Second
	b := openTest(t, "confluent://"+servers, o)
	l := &load{
		log: broker.NewLog(b, o), accepted: map[string][]string{},
		failed: make(chan struct{}, 1), progress: make(chan struct{}, 1),
	}
	defer l.log.Close()
	l.begin(t, 6)
	_, group := subscribe(t, b, "group-"+o.Topic, o.Topic)
	_, replay := subscribe(t, b, "", o.Topic)
	for range restarts {
		l.await(t, 20)
		restart(l.failed)
	}
	l.await(t, 20)
	l.end()
	l.check(t, "group", group)
	l.check(t, "replay", replay)
}

// load are users who publish until they are told to end.
type load struct {
	log     *broker.Log
	ended   atomic.Bool
	running sync.WaitGroup
	// failed tells of a publication that failed, progress of one that did not.
	failed, progress chan struct{}
	count            atomic.Int64

	mu       sync.Mutex
	accepted map[string][]string
}

func (l *load) begin(t *testing.T, users int) {
	t.Helper()
	for user := range users {
		l.running.Go(func() {
			for !l.ended.Load() {
				l.publish(t, benchEvent(t, user))
			}
		})
	}
}

// publish tries until the event is accepted, as a caller would.
func (l *load) publish(t *testing.T, e domain.Event) {
	for {
		if _, err := l.log.Publish(t.Context(), []domain.Event{e}); err == nil {
			break
		}
		signal(l.failed)
		if l.ended.Load() || t.Context().Err() != nil {
			return
		}
	}
	l.count.Add(1)
	signal(l.progress)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[e.UserID()] = append(l.accepted[e.UserID()], e.ID().String())
}

// await waits until so many more events have been accepted.
func (l *load) await(t *testing.T, more int64) {
	t.Helper()
	for goal := l.count.Load() + more; l.count.Load() < goal; {
		select {
		case <-l.progress:
		case <-time.After(2 * time.Minute): // a server with many partitions takes its time to start again
			t.Fatal("no event is accepted any more")
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *load) end() {
	l.ended.Store(true)
	l.running.Wait()
}

// check receives until each event that was accepted has come, and compares the order in which they came first.
func (l *load) check(t *testing.T, what string, msgs <-chan *message.Message) {
	t.Helper()
	missing := map[string]bool{}
	for _, ids := range l.accepted {
		for _, id := range ids {
			missing[id] = true
		}
	}
	total, again := len(missing), 0
	first := map[string][]string{}
	for len(missing) > 0 {
		msg := next(t, msgs)
		if missing[msg.UUID] {
			user := string(origin(t, msg).Key)
			first[user] = append(first[user], msg.UUID)
		} else {
			again++
		}
		delete(missing, msg.UUID)
		msg.Ack()
	}
	t.Logf("%s: %d events accepted, %d more came", what, total, again)
	for user, ids := range l.accepted {
		if !slices.Equal(first[user], ids) {
			t.Errorf("%s: the events of %s came in another order than they were accepted", what, user)
		}
	}
}
