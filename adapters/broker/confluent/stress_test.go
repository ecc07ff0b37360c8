//go:build cgo

package confluent

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

func TestStress(t *testing.T) {
	if os.Getenv("STRESS") == "" {
		t.Skip()
	}
	servers := server(t, "NETSTREAMFLOW_TEST_KAFKA")
	const backlog = 300_000
	o := benchOptions()
	opened := openTest(t, "confluent://"+servers, o)
	fmt.Sscan(os.Getenv("STRESS"), &opened.readAhead)
	if d := os.Getenv("RDEBUG"); d != "" {
		opened.consumer["debug"] = d
		opened.consumer["go.logs.channel.enable"] = false
		delete(opened.consumer, "go.logs.channel")
	}
	for n := 0; n < backlog; n += 1000 {
		msgs := make([]*message.Message, 1000)
		for i := range msgs {
			e := benchEvent(t, n+i)
			msgs[i] = message.NewMessage(e.ID().String(), e.JSON())
			msgs[i].Metadata = message.Metadata{broker.KeyMetadata: e.UserID(), broker.ContentType: "application/json"}
		}
		if err := opened.Publisher().Publish(o.Topic, msgs...); err != nil {
			t.Fatal(err)
		}
	}
	for round := 0; round < 20; round++ {
		start := time.Now()
		s := newSubscriber(opened, "g"+watermill.NewShortUUID())
		sub, err := s.open(s.ctx, o.Topic)
		if err != nil {
			t.Fatal(err)
		}
		go sub.run()
		places := map[int32]int64{}
		batch := make([]*message.Message, 0, 1000)
		for n := 0; n < backlog; n++ {
			var msg *message.Message
			select {
			case msg = <-sub.out:
			case <-time.After(8 * time.Second):
				fmt.Println("STUCK round", round, "at", n, places)
				for p, l := range sub.lanes {
					topic := o.Topic
					pos, _ := sub.consumer.Position([]kafka.TopicPartition{{Topic: &topic, Partition: p}})
					lo, hi, _ := sub.consumer.QueryWatermarkOffsets(topic, p, 5000)
					fmt.Println(p, "paused", l.paused, "bytes", l.bytes.Load(), "position", pos, "marks", lo, hi, "place", places[p], "last pause/resume", l.debug)
				}
				if os.Getenv("RDEBUG") != "" {
					time.Sleep(time.Second)
				}
				t.FailNow()
			}
			origin, _ := application.OriginFrom(msg.Context())
			if places[origin.Partition] != origin.Offset {
				t.Fatalf("partition %d: got %d want %d", origin.Partition, origin.Offset, places[origin.Partition])
			}
			places[origin.Partition]++
			if batch = append(batch, msg); len(batch) == cap(batch) {
				for _, msg := range batch {
					msg.Ack()
				}
				batch = batch[:0]
			}
		}
		for _, msg := range batch {
			msg.Ack()
		}
		s.cancel()
		for range sub.out {
		}
		fmt.Println("round", round, time.Since(start), places)
	}
}
