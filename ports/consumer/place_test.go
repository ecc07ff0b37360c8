package consumer_test

import (
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

func TestBehind(t *testing.T) {
	bounds := map[int32]application.Bounds{0: {First: 10, Next: 20}, 1: {First: 0, Next: 5}, 2: {First: 7, Next: 7}, 3: {First: 0, Next: 1000}}
	for name, c := range map[string]struct {
		place   consumer.Place
		kept    map[int32]int64
		records int64
		from    map[int32]int64
	}{
		"nothing assigned":           {place: consumer.Place{Next: map[int32]int64{0: 15}}, from: map[int32]int64{}},
		"nothing seen or kept":       {place: consumer.Place{Assigned: []int32{0, 1, 2}}, records: 15, from: map[int32]int64{0: 10, 1: 0, 2: 7}},
		"as far as it has seen":      {place: consumer.Place{Assigned: []int32{0, 1}, Next: map[int32]int64{0: 15, 1: 5, 3: 2}}, records: 5, from: map[int32]int64{0: 15, 1: 5}},
		"as far as the group":        {place: consumer.Place{Assigned: []int32{0}, Next: map[int32]int64{0: 12}}, kept: map[int32]int64{0: 18}, records: 2, from: map[int32]int64{0: 18}},
		"a place behind the log":     {place: consumer.Place{Assigned: []int32{0}, Next: map[int32]int64{0: 25}}, from: map[int32]int64{0: 20}},
		"a place before the log":     {place: consumer.Place{Assigned: []int32{0}}, kept: map[int32]int64{0: 3}, records: 10, from: map[int32]int64{0: 10}},
		"a partition without bounds": {place: consumer.Place{Assigned: []int32{0, 9}}, kept: map[int32]int64{0: 20}, from: map[int32]int64{0: 20}},
	} {
		t.Run(name, func(t *testing.T) {
			records, from := c.place.Behind(bounds, c.kept)
			if records != c.records || !maps.Equal(from, c.from) {
				t.Errorf("got %d from %v, want %d from %v", records, from, c.records, c.from)
			}
		})
	}
}

// TestMembership has a consumer whose group refuses it, takes it, rebalances, and loses it.
func TestMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var partitions atomic.Pointer[[]int32]
		c := consumer.New(&subscriber{channels: []chan *message.Message{make(chan *message.Message)}}, consumer.Options{
			Topic: "events", Logger: quiet,
			Assigned: func() []int32 {
				if p := partitions.Load(); p != nil {
					return *p
				}
				return nil
			},
		})
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		synctest.Wait()
		wants := func(what string, wantUp bool, want string) {
			t.Helper()
			if up, detail := c.Status(); up != wantUp || !strings.HasPrefix(detail, want) || want == "" && detail != "" {
				t.Errorf("%s: got %v, %q", what, up, detail)
			}
		}
		wants("at first", true, "is no member of its group yet")
		time.Sleep(40 * time.Second)
		wants("refused", false, "is no member of its group yet")
		partitions.Store(&[]int32{})
		wants("without partitions", true, "")
		time.Sleep(time.Hour)
		c.Place()
		partitions.Store(nil)
		time.Sleep(20 * time.Second)
		wants("while the group rebalances", true, "is no member of its group since ")
		time.Sleep(20 * time.Second)
		wants("lost", false, "is no member of its group since ")
		c.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
