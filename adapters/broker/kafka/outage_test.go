package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

// within fails the test when do takes longer than the bound.
func within(t *testing.T, bound time.Duration, what string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > bound {
		t.Errorf("%s took %v, want less than %v", what, took, bound)
	}
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("%s: got the error %v, want unavailable", what, err)
	}
}

// TestServerAway has nobody listen, and somebody who never answers.
func TestServerAway(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, address := range map[string]string{"refuses": local(freePort(t))[0], "is silent": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.PublishTimeout = time.Second
			b := open(t, []string{address}, "", o)
			_, subscriber := subscribe(t, b, "group", o.Topic)
			_, replay := subscribe(t, b, "", o.Topic)
			for range 2 {
				within(t, 2*time.Second, "publish", func() {
					wantUnavailable(t, "publish", b.Publisher().Publish(o.Topic, keyed("key", 3, 1)...))
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			within(t, 2*time.Second, "ping and bounds", func() {
				wantUnavailable(t, "ping", b.(broker.Pinger).Ping(ctx))
				_, err := b.(broker.Bounder).Bounds(ctx, o.Topic)
				wantUnavailable(t, "bounds", err)
				_, err = b.(broker.Placer).Places(ctx, o.Topic, "group")
				wantUnavailable(t, "places", err)
				_, err = b.(broker.Seeker).OffsetsAt(ctx, o.Topic, time.Now())
				wantUnavailable(t, "offsets", err)
			})
			within(t, 8*time.Second, "close", func() {
				err := errors.Join(subscriber.Close(), replay.Close(), b.Publisher().Close(), b.Close())
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestErrorsSayWhy checks that the error of a publication tells what is wrong with the server.
func TestErrorsSayWhy(t *testing.T) {
	t.Parallel()
	o := options()
	o.PublishTimeout = time.Second
	b := open(t, local(freePort(t)), "", o)
	if err := b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got the error %v", err)
	}
}

// TestPublicationEndsWithItsContext has the caller of one message go.
func TestPublicationEndsWithItsContext(t *testing.T) {
	o := options()
	b := open(t, local(freePort(t)), "", o)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	msg := keyed("key", 1, 1)[0]
	msg.SetContext(ctx)
	within(t, 5*time.Second, "publish", func() { wantUnavailable(t, "publish", b.Publisher().Publish(o.Topic, msg)) })
}

// TestServerComesLate starts the server during the first publication, after the subscriptions.
func TestServerComesLate(t *testing.T) {
	t.Parallel()
	o := options()
	port := freePort(t)
	b := open(t, local(port), "", o)
	group, _ := subscribe(t, b, "group", o.Topic)
	replay, _ := subscribe(t, b, "", o.Topic)
	msgs := keyed("key", 3, 1)
	published := make(chan error)
	go func() { published <- b.Publisher().Publish(o.Topic, msgs...) }()
	<-time.After(500 * time.Millisecond) // for some attempts to fail
	fake(t, kfake.Ports(port))
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	wantIDs(t, acked(t, group, 3), msgs)
	wantIDs(t, acked(t, replay, 3), msgs)
}

// restarting returns what starts a server in this process, each time with the same address and what it had.
func restarting(t *testing.T) (start func() *kfake.Cluster, addresses []string) {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	return func() *kfake.Cluster {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir), kfake.SyncWrites())
		if err != nil {
			t.Fatal(err)
		}
		return cluster
	}, local(port)
}

// TestServerRestarts restarts the server in this process.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	start, addresses := restarting(t)
	cluster := start()
	defer func() { cluster.Close() }()
	testRestarts(t, addresses, func() {
		cluster.Close()
		<-time.After(300 * time.Millisecond) // for publications to fail
		cluster = start()
	})
}

// TestRealServerRestarts restarts a real server with the command in the environment, such as
// "scripts/kafka kill && scripts/kafka start".
func TestRealServerRestarts(t *testing.T) {
	command := os.Getenv("NSF_TEST_KAFKA_RESTART")
	if command == "" {
		t.Skip("NSF_TEST_KAFKA_RESTART is not set")
	}
	testRestarts(t, []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")}, func() {
		if output, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	})
}

// testRestarts restarts the server several times while many users publish through the log. What was accepted is there, in
// order; a replay goes on where it was.
func testRestarts(t *testing.T, addresses []string, restart func()) {
	const restarts, users = 3, 6
	o := options()
	o.Partitions, o.PublishTimeout = 3, 5*time.Second
	b := open(t, addresses, "", o)
	load := newLoad(t, b, o, users)
	group, _ := subscribe(t, b, "group-"+o.Topic, o.Topic)
	replay, _ := subscribe(t, b, "", o.Topic)
	for range restarts {
		load.awaitMore(10)
		restart()
	}
	load.awaitMore(10)
	load.end()
	load.check("group", collect(t, group, load, false))
	load.check("replay", collect(t, replay, load, true))
}

// TestFailedRecordIsSentAgain has publications fail and go on when the server is back. Sarama may still read a record whose
// error it has returned, so that it must not get the same again: the race detector tells.
func TestFailedRecordIsSentAgain(t *testing.T) {
	start, addresses := restarting(t)
	cluster := start()
	defer func() { cluster.Close() }()
	o := options()
	replaced := make(replacements, 100)
	o.Logger = slog.New(slog.NewTextHandler(replaced, nil))
	b := open(t, addresses, "", o)
	publish(t, b, o.Topic, keyed("key", 1, 1)...)
	cluster.Close()
	wantUnavailable(t, "publish", b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...)) // it was sent
	var running sync.WaitGroup
	running.Go(func() { publish(t, b, o.Topic, keyed("key", 1, 1)...) })
	<-replaced
	cluster = start()
	running.Wait()
}

// replacements gets the log's lines on producers that are replaced.
type replacements chan struct{}

// Write implements [io.Writer].
func (r replacements) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("producer replaced")) {
		r <- struct{}{}
	}
	return len(line), nil
}
