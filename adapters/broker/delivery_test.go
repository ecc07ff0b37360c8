package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// partition delivers records with offsets from 100 on, and notes what it is told of the acks.
type partition struct {
	*testing.T
	*broker.Delivery

	out    chan *message.Message
	end    context.CancelFunc
	ctx    context.Context
	offset int64

	mu   sync.Mutex
	told []int64
}

func newPartition(t *testing.T, window int) *partition {
	ctx, cancel := context.WithCancel(t.Context())
	p := &partition{T: t, out: make(chan *message.Message, 1000), ctx: ctx, end: cancel, offset: 100}
	p.Delivery = broker.NewDelivery(ctx, p.out, window, func(next int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, next)
	})
	return p
}

// deliver delivers n records of the size.
func (p *partition) deliver(n, size int) error {
	for range n {
		msg := message.NewMessage(fmt.Sprint(p.offset), make([]byte, size))
		msg.SetContext(application.WithOrigin(p.ctx, application.Origin{Position: application.Position{Offset: p.offset}}))
		if err := p.Deliver(p.ctx, msg, p.offset); err != nil {
			return err
		}
		p.offset++
	}
	return nil
}

// take returns what is in the channel once nothing moves any more.
func (p *partition) take() (msgs []*message.Message) {
	synctest.Wait()
	for {
		select {
		case msg := <-p.out:
			msgs = append(msgs, msg)
		default:
			return msgs
		}
	}
}

// reached is the last offset that was told, 0 for none.
func (p *partition) reached() int64 {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.told) == 0 {
		return 0
	}
	return p.told[len(p.told)-1]
}

func (p *partition) wantReached(want int64) {
	p.Helper()
	if got := p.reached(); got != want {
		p.Errorf("acked up to %d, want %d", got, want)
	}
}

func (p *partition) wantTaken(want ...string) []*message.Message {
	p.Helper()
	msgs := p.take()
	got := make([]string, len(msgs))
	for i, m := range msgs {
		got[i] = m.UUID
	}
	if !slices.Equal(got, want) {
		p.Errorf("delivered %q, want %q", got, want)
	}
	return msgs
}

func TestDeliveryTellsTheContiguousPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(t, 10)
		if err := p.deliver(5, 1); err != nil {
			t.Fatal(err)
		}
		msgs := p.wantTaken("100", "101", "102", "103", "104")
		msgs[1].Ack()
		msgs[3].Ack()
		p.wantReached(0)
		msgs[0].Ack()
		p.wantReached(102)
		msgs[4].Ack()
		p.wantReached(102)
		msgs[2].Ack()
		p.wantReached(105)
		p.Drain()
		if !slices.IsSorted(p.told) {
			t.Errorf("told %v", p.told)
		}
	})
}

func TestDeliveryKeepsTheWindow(t *testing.T) {
	for _, window := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPartition(t, window)
				go p.deliver(10, 1)
				seen := 0
				for seen < 10 {
					msgs := p.take()
					if want := min(max(window, 1), 10-seen); len(msgs) != want {
						t.Fatalf("%d in flight, want %d", len(msgs), want)
					}
					seen += len(msgs)
					for _, m := range msgs {
						m.Ack()
					}
				}
				p.wantReached(110)
				p.end()
			})
		})
	}
}

func TestDeliveryBoundsTheBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 6 << 20
		p := newPartition(t, 1000)
		go func() {
			p.deliver(4, size)
			p.deliver(1, 100<<20)
			p.deliver(1, 1)
		}()
		msgs := p.wantTaken("100", "101")
		msgs[0].Ack()
		last := p.wantTaken("102")
		msgs[1].Ack()
		last = append(last, p.wantTaken("103")...)
		last[0].Ack()
		p.wantTaken()
		last[1].Ack()
		huge := p.wantTaken("104")
		huge[0].Ack()
		p.wantTaken("105")
		p.end()
	})
}

// TestDeliveryRedelivers nacks one message several times; what was taken before stays taken, what follows waits.
func TestDeliveryRedelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(t, 2)
		go p.deliver(4, 1)
		msgs := p.wantTaken("100", "101")
		start := time.Now()
		msgs[0].Nack()
		msgs[1].Ack()
		for n, milliseconds := range []int{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			want := time.Duration(milliseconds) * time.Millisecond
			again := <-p.out
			if took := time.Since(start); again.UUID != "100" || took != want {
				t.Errorf("redelivery %d is %s after %v, want 100 after %v", n, again.UUID, took, want)
			}
			if o, _ := application.OriginFrom(again.Context()); o.Offset != 100 || again.Context().Err() != nil {
				t.Errorf("redelivery %d has the origin %v and the error %v", n, o, again.Context().Err())
			}
			p.wantTaken()
			start = time.Now()
			if n < 8 {
				again.Nack()
			} else {
				again.Ack()
			}
		}
		p.wantReached(102)
		for _, m := range p.wantTaken("102", "103") {
			m.Ack()
		}
		p.wantReached(104)
		p.end()
	})
}

// TestDeliveryRedeliversSeveral nacks all of a window: they come again one by one, in order.
func TestDeliveryRedeliversSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(t, 3)
		p.deliver(3, 1)
		for _, m := range p.take() {
			m.Nack()
		}
		for _, want := range []string{"100", "101", "102"} {
			again := <-p.out
			if again.UUID != want {
				t.Errorf("%s comes again, want %s", again.UUID, want)
			}
			p.wantTaken()
			again.Ack()
		}
		p.Drain()
		p.wantReached(103)
	})
}

func TestDrainWaitsForAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(t, 3)
		p.deliver(3, 1)
		msgs := p.take()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			p.Drain()
		}()
		msgs[0].Ack()
		msgs[2].Ack()
		synctest.Wait()
		select {
		case <-drained:
			t.Error("drained before the last ack")
		default:
		}
		msgs[1].Nack()
		(<-p.out).Ack()
		<-drained
		p.wantReached(103)
	})
}

// TestDeliveryEnds ends the context in each state; the acked prefix is told.
func TestDeliveryEnds(t *testing.T) {
	for name, act := range map[string]func(msgs []*message.Message, p *partition){
		"un-acked":        func([]*message.Message, *partition) {},
		"nacked":          func(msgs []*message.Message, _ *partition) { msgs[1].Nack() },
		"delivered again": func(msgs []*message.Message, p *partition) { msgs[1].Nack(); <-p.out },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPartition(t, 2)
				failed := make(chan error)
				go func() { failed <- p.deliver(5, 1) }()
				msgs := p.take()
				msgs[0].Ack()
				synctest.Wait()
				act(msgs, p)
				p.end()
				if err := <-failed; !errors.Is(err, context.Canceled) {
					t.Errorf("got the error %v", err)
				}
				p.Drain()
				p.wantReached(101)
			})
		})
	}
}

// TestDeliverGivesUpAlone ends the context of one Deliver call, of a receiver that does not take: what was delivered before
// can be drained, what was not is not waited for.
func TestDeliverGivesUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan *message.Message)
		var told int64
		d := broker.NewDelivery(t.Context(), out, 10, func(next int64) { told = next })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			msg := <-out
			<-ctx.Done()
			msg.Ack()
		}()
		if err := d.Deliver(ctx, message.NewMessage("1", nil), 1); err != nil {
			t.Fatal(err)
		}
		if err := d.Deliver(ctx, message.NewMessage("2", nil), 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got the error %v", err)
		}
		d.Drain()
		if told != 2 {
			t.Errorf("told %d, want 2", told)
		}
	})
}

func TestMessageContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(t, 3)
		p.deliver(3, 1)
		msgs := p.take()
		for _, m := range msgs {
			if m.Context().Err() != nil {
				t.Errorf("%s: the context has ended before the ack", m.UUID)
			}
			_ = m.Context().Done() // waits from now on
		}
		derived, cancel := context.WithCancel(msgs[0].Context())
		defer cancel()
		msgs[0].Ack()
		msgs[1].Nack()
		<-derived.Done()
		<-msgs[0].Context().Done()
		<-msgs[1].Context().Done()
		for i, want := range []error{context.Canceled, context.Canceled, nil} {
			if err := msgs[i].Context().Err(); !errors.Is(err, want) {
				t.Errorf("%s: the context's error is %v, want %v", msgs[i].UUID, err, want)
			}
		}
		p.end()
		<-msgs[2].Context().Done()
		if err := msgs[2].Context().Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("got the error %v", err)
		}
	})
}

func BenchmarkDelivery(b *testing.B) {
	out := make(chan *message.Message, 2000)
	d := broker.NewDelivery(b.Context(), out, 2000, func(int64) {})
	go func() {
		for msg := range out {
			msg.Ack()
		}
	}()
	b.ReportAllocs()
	for i := range b.N {
		if err := d.Deliver(b.Context(), message.NewMessage("", nil), int64(i)); err != nil {
			b.Fatal(err)
		}
	}
	d.Drain()
	close(out)
}

// TestAckJustBeforeTheEnd ends the delivery as soon as a message is acked, which its own goroutine may see first.
func TestAckJustBeforeTheEnd(t *testing.T) {
	for range 200 {
		ctx, end := context.WithCancel(t.Context())
		out, told := make(chan *message.Message), make(chan int64, 1)
		d := broker.NewDelivery(ctx, out, 10, func(next int64) { told <- next })
		go func() {
			msg := <-out
			msg.Ack()
			end()
		}()
		if err := d.Deliver(ctx, message.NewMessage("", nil), 7); err != nil {
			t.Fatal(err)
		}
		d.Drain()
		select {
		case next := <-told:
			if next != 8 {
				t.Fatalf("told %d, want 8", next)
			}
		default:
			t.Fatal("the ack is forgotten")
		}
	}
}
