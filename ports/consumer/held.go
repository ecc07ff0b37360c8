package consumer

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
)

// held returns the messages that are still the consumer's. The context of one that is not acked ends when its partition has
// gone to another member of the group, whose work the rest of it is now: that member reads it again, and would meet each event
// that is still stored here as a duplicate, and each record that is no event as a second dead letter.
func held(batch []*message.Message) []*message.Message {
	isLost := func(msg *message.Message) bool { return msg.Context().Err() != nil }
	if !slices.ContainsFunc(batch, isLost) {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), isLost)
}

// hold returns a context that ends as soon as a partition of the batch is lost. release tells whether that has happened,
// which means nothing once the batch is acked.
func hold(ctx context.Context, batch []*message.Message) (holding context.Context, release func() (lost bool)) {
	holding, cancel := context.WithCancel(ctx)
	var lost atomic.Bool
	var stops []func() bool
	for _, msg := range lastOfEach(batch) {
		stops = append(stops, context.AfterFunc(msg.Context(), func() {
			lost.Store(true)
			cancel()
		}))
	}
	return holding, func() bool {
		for _, stop := range stops {
			stop()
		}
		cancel()
		return lost.Load()
	}
}

// lastOfEach returns the last message of each partition: a partition is lost with all its messages.
func lastOfEach(batch []*message.Message) map[int32]*message.Message {
	last := make(map[int32]*message.Message, 1)
	for _, msg := range batch {
		o, _ := application.OriginFrom(msg.Context())
		last[o.Partition] = msg
	}
	return last
}
