package kafka_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/application"
)

// TestAddedPartitions adds a partition while a member and a replay read.
func TestAddedPartitions(t *testing.T) {
	t.Parallel()
	addresses := fake(t).ListenAddrs()
	o := options()
	b := open(t, addresses, "", o)
	group, _ := subscribe(t, b, "group", o.Topic)
	replay, _ := subscribe(t, b, "", o.Topic)
	publish(t, b, o.Topic, keyed("key", 1, 1)...)
	acked(t, group, 1)
	acked(t, replay, 1)
	if err := admin(t, addresses).CreatePartitions(o.Topic, 2, nil, false); err != nil {
		t.Fatal(err)
	}
	record := &sarama.ProducerMessage{Topic: o.Topic, Partition: 1, Value: sarama.StringEncoder("new")}
	if _, _, err := foreign(t, addresses, nil).SendMessage(record); err != nil {
		t.Fatal(err)
	}
	for name, messages := range map[string]<-chan *message.Message{"group": group, "replay": replay} {
		if msg := next(t, messages); string(msg.Payload) != "new" || origin(t, msg).Partition != 1 {
			t.Errorf("%s: got %q", name, msg.Payload)
		} else {
			msg.Ack()
		}
	}
}

// TestRecordsAreGone has the server delete records that were not read yet.
func TestRecordsAreGone(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	o := options()
	b := open(t, cluster.ListenAddrs(), "in-flight=1", o)
	msgs := keyed("key", 10, 1)
	publish(t, b, o.Topic, msgs[:5]...)
	group, subscriber := subscribe(t, b, "group", o.Topic)
	wantIDs(t, acked(t, group, 2), msgs[:2])
	if err := subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	publish(t, b, o.Topic, msgs[5:]...)
	if err := cluster.DeleteRecords(o.Topic, 0, 7); err != nil {
		t.Fatal(err)
	}
	group, _ = subscribe(t, b, "group", o.Topic)
	replay, _ := subscribe(t, b, "", o.Topic)
	wantIDs(t, acked(t, group, 3), msgs[7:])
	wantIDs(t, acked(t, replay, 3), msgs[7:])
}

// TestRecordsAreGoneDuringReplay deletes records behind the place of a replay that waits for acks.
func TestRecordsAreGoneDuringReplay(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	o := options()
	b := open(t, cluster.ListenAddrs(), "in-flight=1", o)
	const size = 300_000 // so that not all are fetched at once
	msgs := keyed("key", 40, size)
	for _, msg := range msgs {
		publish(t, b, o.Topic, msg)
	}
	replay, _ := subscribe(t, b, "", o.Topic)
	wantIDs(t, acked(t, replay, 1), msgs[:1])
	if err := cluster.DeleteRecords(o.Topic, 0, 35); err != nil {
		t.Fatal(err)
	}
	for last := ""; last != msgs[39].UUID; {
		last = acked(t, replay, 1)[0]
	}
}

// TestTransactions reads what is committed, and only that.
func TestTransactions(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) {
		o := options()
		b := open(t, addresses, "", o)
		publish(t, b, o.Topic, keyed("key", 1, 1)...)
		p := foreign(t, addresses, func(c *sarama.Config) {
			c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
			c.Producer.Transaction.ID = o.Topic
		})
		for value, end := range map[string]func() error{"committed": p.CommitTxn, "aborted": p.AbortTxn} {
			if err := p.BeginTxn(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: o.Topic, Value: sarama.StringEncoder(value)}); err != nil {
				t.Fatal(err)
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
		}
		last := keyed("key", 1, 1)
		publish(t, b, o.Topic, last...)
		for _, group := range []string{"", "group-" + o.Topic} {
			messages, _ := subscribe(t, b, group, o.Topic)
			acked(t, messages, 1)
			if msg := next(t, messages); string(msg.Payload) != "committed" {
				t.Errorf("group %q: got %q", group, msg.Payload)
			} else {
				msg.Ack()
			}
			wantIDs(t, acked(t, messages, 1), last)
		}
	})
}

// TestHangingReceiverDoesNotHoldUpTheGroup has a member keep an un-acked and a nacked message while another joins.
func TestHangingReceiverDoesNotHoldUpTheGroup(t *testing.T) {
	for name, hang := range map[string]func(*message.Message){
		"un-acked": func(*message.Message) {},
		"nacked":   func(msg *message.Message) { msg.Nack() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Partitions = 4
			addresses := fake(t).ListenAddrs()
			b := open(t, addresses, "", o)
			first, _ := subscribe(t, b, "group", o.Topic)
			for p := range 4 {
				publish(t, b, o.Topic, keyed(fmt.Sprint(p), 10, 1)...)
			}
			for range 10 {
				hang(next(t, first))
			}
			second, _ := subscribe(t, open(t, addresses, "", o), "group", o.Topic)
			within(t, 15*time.Second, "hand-over", func() { next(t, second).Ack() })
		})
	}
}

// TestLeftoversEnd has a member join while the receiver of another holds messages, and leaves more in the channel: when the
// new member gets the first record of a partition, the contexts of all of them that are the partition's have ended.
func TestLeftoversEnd(t *testing.T) {
	t.Parallel()
	o := options()
	o.Partitions = 2
	addresses := fake(t).ListenAddrs()
	first, _ := subscribe(t, open(t, addresses, "", o), "group", o.Topic)
	b := open(t, addresses, "", o)
	for p := range 10 {
		publish(t, b, o.Topic, keyed(fmt.Sprint(p), 10, 1)...)
	}
	var held []*message.Message
	for range 50 {
		held = append(held, next(t, first))
	}
	second, _ := subscribe(t, b, "group", o.Topic)
	moved := origin(t, next(t, second))
	for len(first) > 0 {
		held = append(held, next(t, first))
	}
	ended := 0
	for _, msg := range held {
		if origin(t, msg).Partition != moved.Partition {
			continue
		}
		if ended++; msg.Context().Err() == nil {
			t.Errorf("offset %d of the partition that has moved is still the first member's", origin(t, msg).Offset)
		}
	}
	if ended == 0 {
		t.Error("the first member had nothing of the partition that has moved")
	}
}

// TestMembersComeAndGo has members join, leave, nack and fall behind while events are published: each is processed, those of
// one user in order, as seen by a store that keeps the first of each.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addresses []string) { testMembers(t, addresses, 6*time.Second, 0) })
}

// TestMembersStall is the same with receivers that now and then hold what they have for longer than a rebalance waits.
func TestMembersStall(t *testing.T) {
	t.Parallel()
	addresses := []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA")} // the time-outs of a real group are what it is about
	testMembers(t, addresses, 20*time.Second, 8*time.Second)
}

func testMembers(t *testing.T, addresses []string, duration, stall time.Duration) {
	o := options()
	o.Partitions = 6
	group := "group-" + watermill.NewShortUUID()
	l := newLoad(t, open(t, addresses, "", o), o, 12)
	s := &store{ids: map[string][]string{}, seen: map[string]bool{}}
	stop := make(chan struct{})
	var members sync.WaitGroup
	for n := range 3 {
		members.Go(func() {
			for alive := true; alive; {
				alive = s.visit(t, addresses, group, l, stop, stall*time.Duration(n%2))
			}
		})
	}
	<-time.After(duration) // that is how long it goes on
	l.end()
	close(stop)
	members.Wait()
	rest, _ := subscribe(t, open(t, addresses, "", o), group, o.Topic)
	for s.count() < l.count() {
		msg := next(t, rest)
		if s.record(msg) {
			msg.Ack()
		}
	}
	l.check("group", s.ids)
}

// store keeps the first of each event.
type store struct {
	mu   sync.Mutex
	ids  map[string][]string
	seen map[string]bool
}

// record leaves out messages that are not the receiver's any more, as the service's consumer does.
func (s *store) record(msg *message.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if msg.Context().Err() != nil {
		return false
	}
	if !s.seen[msg.UUID] {
		s.seen[msg.UUID] = true
		o, _ := application.OriginFrom(msg.Context())
		s.ids[string(o.Key)] = append(s.ids[string(o.Key)], msg.UUID)
	}
	return true
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// visit is a member of the group for a while; it records batches of messages, the first one after the stall, and acks them in
// any order.
func (s *store) visit(
	t *testing.T, addresses []string, group string, l *load, stop <-chan struct{}, stall time.Duration,
) (again bool) {
	b := open(t, addresses, "", l.options)
	subscriber, err := b.Subscriber(group)
	if err != nil {
		t.Error(err)
	}
	messages, err := subscriber.Subscribe(t.Context(), l.options.Topic)
	if err != nil {
		t.Error(err)
	}
	defer func() {
		if err := subscriber.Close(); err != nil {
			t.Error(err)
		}
	}()
	leave := time.After(time.Duration(500+rand.IntN(2500)) * time.Millisecond)
	for {
		select {
		case msg := <-messages:
			batch := gatherSome(msg, messages)
			<-time.After(stall)
			stall = 0
			batch = slices.DeleteFunc(batch, func(m *message.Message) bool { return !s.record(m) })
			rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			for _, m := range batch {
				m.Ack()
			}
		case <-leave:
			return true
		case <-stop:
			return false
		}
	}
}

// gatherSome adds what already waits, up to a limit.
func gatherSome(first *message.Message, messages <-chan *message.Message) []*message.Message {
	batch := []*message.Message{first}
	for limit := 1 + rand.IntN(50); len(batch) < limit; {
		select {
		case msg, open := <-messages:
			if !open {
				return batch
			}
			batch = append(batch, msg)
		default:
			return batch
		}
	}
	return batch
}
