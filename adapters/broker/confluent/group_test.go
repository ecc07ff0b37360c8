//go:build cgo

package confluent

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLostAssignment has the server forget a member: what it acks from then on is not its to keep, and comes again.
func TestLostAssignment(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	o.Partitions = 1
	b := openTest(t, "confluent://"+addresses(c), o)
	b.consumer["session.timeout.ms"], b.consumer["heartbeat.interval.ms"] = 1000, 100
	publish(t, b, o.Topic, 3, 1)
	_, msgs := subscribe(t, b, "group", o.Topic)
	first := next(t, msgs)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: kerr.UnknownMemberID})
	select {
	case <-first.Context().Done():
	case <-time.After(patience):
		t.Fatal("the context of a message from a lost partition goes on")
	}
	first.Ack()
	for offset := range int64(3) {
		msg := next(t, msgs)
		for msg.Context().Err() != nil { // what waited in the channel when the partition was lost
			msg = next(t, msgs)
		}
		if got := position(t, msg).Offset; got != offset {
			t.Errorf("got offset %d, want %d", got, offset)
		}
		msg.Ack()
	}
}

// TestRevocationWaitsForAcks has a second member join while messages are with the first one's receiver, which acks them in
// time: they do not come again.
func TestRevocationWaitsForAcks(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(c), o)
	const records = 60
	publish(t, b, o.Topic, records, 1)
	sub, msgs := subscribe(t, b, "group", o.Topic)
	var held []*message.Message
	for range records {
		held = append(held, next(t, msgs))
	}
	rejoins := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Observe: true, Count: -1})
	_, others := subscribe(t, b, "group", o.Topic)
	if err := rejoins.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, msg := range held {
		msg.Ack()
	}
	if err := rejoins.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	publish(t, b, o.Topic, records, 1)
	for range records {
		var msg *message.Message
		select {
		case msg = <-msgs:
		case msg = <-others:
		case <-time.After(patience):
			t.Fatal("no message")
		}
		for _, before := range held {
			if before.UUID == msg.UUID {
				t.Errorf("%s came again", msg.UUID)
			}
		}
		msg.Ack()
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
}

// TestLeftoversEnd has a member join while the receiver of another holds messages: when the new member gets the first record
// of a partition, the contexts of all of them that are the partition's have ended.
func TestLeftoversEnd(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	o.Partitions = 2
	b := openTest(t, "confluent://"+addresses(c), o)
	publish(t, b, o.Topic, 100, 1)
	_, msgs := subscribe(t, b, "group", o.Topic)
	var held []*message.Message
	for range 100 {
		held = append(held, next(t, msgs))
	}
	_, others := subscribe(t, b, "group", o.Topic)
	moved := position(t, next(t, others))
	ended := 0
	for _, msg := range held {
		if p := position(t, msg); p.Partition == moved.Partition {
			if ended++; msg.Context().Err() == nil {
				t.Errorf("offset %d of the partition that has moved is still the first member's", p.Offset)
			}
		}
	}
	if ended == 0 {
		t.Error("the first member had nothing of the partition that has moved")
	}
}

// TestReceiverAway has a receiver that takes nothing for longer than a member may go without a poll: it stays a member.
func TestReceiverAway(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(c), o)
	b.readAhead = 200_000
	for name, ms := range map[string]int{
		"session.timeout.ms": 1000, "max.poll.interval.ms": 1000, "heartbeat.interval.ms": 100,
	} {
		b.consumer[name] = ms
	}
	publish(t, b, o.Topic, 1000, 1000)
	_, msgs := subscribe(t, b, "group", o.Topic)
	first := next(t, msgs)
	joins := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup, kmsg.LeaveGroup}, Observe: true, Count: -1})
	heartbeats := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Observe: true, Count: -1})
	if err := heartbeats.Wait(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if n := joins.Hits(); n > 0 || first.Context().Err() != nil {
		t.Errorf("joined or left %d times; the message's context: %v", n, first.Context().Err())
	}
	first.Ack()
	for range 999 {
		next(t, msgs).Ack()
	}
}

// TestCloseWithoutServer closes a member whose servers have gone.
func TestCloseWithoutServer(t *testing.T) {
	c := fake(t)
	o := benchOptions()
	b := openTest(t, "confluent://"+addresses(c), o)
	publish(t, b, o.Topic, 10, 1)
	sub, msgs := subscribe(t, b, "group", o.Topic)
	for range 10 {
		next(t, msgs).Ack()
	}
	c.Close()
	start := time.Now()
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-msgs; open {
		t.Error("the channel is open")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > leaveTimeout+flushTimeout {
		t.Errorf("closing took %v", took)
	}
}
