package broker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// marked is a log whose partition 0 ends with an offset that is never delivered, while partition 1 gets a record every second.
type marked struct{ broker.Replayable }

func (marked) Bounds(context.Context, string) (map[int32]application.Bounds, error) {
	return map[int32]application.Bounds{0: {First: 0, Next: 5}, 1: {First: 0, Next: 100}}, nil
}

func (m marked) SubscriberFrom(string, broker.Start) (message.Subscriber, error) { return m, nil }

func (marked) Close() error { return nil }

func (marked) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	send := func(partition int32, offset int64) bool {
		msg := message.NewMessage("", nil)
		msg.SetContext(application.WithOrigin(ctx, application.Origin{
			Topic: topic, Position: application.Position{Partition: partition, Offset: offset},
		}))
		select {
		case out <- msg:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		for offset := range int64(4) {
			send(0, offset)
		}
		for offset := int64(100); send(1, offset); offset++ {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}()
	return out, nil
}

// TestPageBesideABusyPartition ends although something else goes on.
func TestPageBesideABusyPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := broker.NewRecords(marked{})
		defer records.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		page, err := records.Page(ctx, application.RecordQuery{Topic: "topic", Limit: 5})
		if err != nil || len(page.Records) != 4 {
			t.Errorf("%d records, %v", len(page.Records), err)
		}
	})
}
