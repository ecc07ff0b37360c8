package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// fakeBroker notes what is published; each publication waits for a word on gate, where there is one.
type fakeBroker struct {
	lanes int
	gate  chan error

	mu      sync.Mutex
	batches [][]*message.Message
}

func (f *fakeBroker) Publisher() message.Publisher                  { return f }
func (f *fakeBroker) Subscriber(string) (message.Subscriber, error) { return nil, nil }
func (f *fakeBroker) Close() error                                  { return nil }
func (f *fakeBroker) Lanes() int                                    { return f.lanes }
func (f *fakeBroker) log(t *testing.T) *broker.Log                  { return f.logTo(t, slog.DiscardHandler) }
func (f *fakeBroker) logTo(_ *testing.T, handler slog.Handler) *broker.Log {
	return broker.NewLog(f, broker.Options{Topic: "topic", Logger: slog.New(handler)})
}

func (f *fakeBroker) Publish(topic string, msgs ...*message.Message) error {
	f.mu.Lock()
	f.batches = append(f.batches, msgs)
	f.mu.Unlock()
	if topic != "topic" {
		return errors.New("another topic")
	}
	for i, msg := range msgs {
		msg.SetContext(application.WithOrigin(msg.Context(),
			application.Origin{Position: application.Position{Partition: 2, Offset: int64(40 + i)}}))
	}
	if f.gate == nil {
		return nil
	}
	return <-f.gate
}

func (f *fakeBroker) sizes() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sizes := make([]int, len(f.batches))
	for i, b := range f.batches {
		sizes[i] = len(b)
	}
	return sizes
}

func (f *fakeBroker) ids() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.batches {
		for _, m := range b {
			ids = append(ids, m.UUID)
		}
	}
	return ids
}

func events(t testing.TB, user string, n, size int) []domain.Event {
	t.Helper()
	events := make([]domain.Event, n)
	for i := range events {
		e, err := domain.Draft{
			UserID: user, EventType: "test", Metadata: []byte(`{"x":"` + strings.Repeat("x", size) + `"}`),
		}.Event(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		events[i] = e
	}
	return events
}

// publishing publishes in the background.
func publishing(ctx context.Context, l *broker.Log, events []domain.Event) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := l.Publish(ctx, events)
		done <- err
	}()
	return done
}

func TestLogPublishes(t *testing.T) {
	f := &fakeBroker{}
	l := f.log(t)
	all := events(t, "user", 3, 10)
	if _, err := l.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	msg := f.batches[0][0]
	want := message.Metadata{broker.KeyMetadata: "user", broker.ContentType: "application/json"}
	if msg.UUID != all[0].ID().String() || string(msg.Payload) != string(all[0].JSON()) || fmt.Sprint(msg.Metadata) != fmt.Sprint(want) {
		t.Errorf("published %q %q %q", msg.UUID, msg.Payload, msg.Metadata)
	}
	if l.Published() != 3 {
		t.Errorf("%d published, want 3", l.Published())
	}
	l.Close()
	l.Close()
	if _, err := l.Publish(t.Context(), all); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("after the close: %v", err)
	}
}

func TestLogPublishesNothing(t *testing.T) {
	f := &fakeBroker{}
	l := f.log(t)
	defer l.Close()
	if _, err := l.Publish(context.Background(), nil); err != nil || len(f.batches) != 0 {
		t.Errorf("%d publications, error %v", len(f.batches), err)
	}
}

// TestLogGathers has many callers wait for one publication: the next one takes them all.
func TestLogGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{gate: make(chan error)}
		l := f.log(t)
		var waiting []<-chan error
		for i := range 20 {
			waiting = append(waiting, publishing(t.Context(), l, events(t, fmt.Sprint(i), 2, 1)))
			synctest.Wait()
		}
		f.gate <- nil
		synctest.Wait()
		f.gate <- nil
		for _, w := range waiting {
			if err := <-w; err != nil {
				t.Error(err)
			}
		}
		if got := f.sizes(); !slices.Equal(got, []int{1, 39}) && !slices.Equal(got, []int{2, 38}) {
			t.Errorf("publications of %v events, want one first and then all the others", got)
		}
		l.Close()
	})
}

// TestLogBoundsBatches has more wait than one publication may hold, in number and in bytes.
func TestLogBoundsBatches(t *testing.T) {
	for name, test := range map[string]struct{ n, size, largest int }{
		"number": {2500, 1, 1000},
		"bytes":  {10, 300 << 10, 3},
		"huge":   {3, 2 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeBroker{}
			l := f.log(t)
			defer l.Close()
			if _, err := l.Publish(t.Context(), events(t, "user", test.n, test.size)); err != nil {
				t.Fatal(err)
			}
			if got := slices.Max(f.sizes()); got > test.largest {
				t.Errorf("a publication has %d events, want at most %d", got, test.largest)
			}
		})
	}
}

// TestLogKeepsTheOrderOfAUser has many users publish at once, over several lanes.
func TestLogKeepsTheOrderOfAUser(t *testing.T) {
	f := &fakeBroker{lanes: 4}
	l := f.log(t)
	var callers sync.WaitGroup
	want := make([][]string, 16)
	for c := range want {
		callers.Go(func() {
			for range 50 {
				batch := events(t, fmt.Sprint("user ", c), 3, 1)
				for _, e := range batch {
					want[c] = append(want[c], e.ID().String())
				}
				if _, err := l.Publish(t.Context(), batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	l.Close()
	got := map[string][]string{}
	for _, b := range f.batches {
		for _, m := range b {
			user := m.Metadata[broker.KeyMetadata]
			got[user] = append(got[user], m.UUID)
		}
	}
	for c, ids := range want {
		if !slices.Equal(got[fmt.Sprint("user ", c)], ids) {
			t.Errorf("user %d: published in another order", c)
		}
	}
}

// TestLogUsesLanes checks that one lane that hangs holds up no other.
func TestLogUsesLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{lanes: 2, gate: make(chan error)}
		l := f.log(t)
		users := map[int]string{}
		for i := 0; len(users) < 2; i++ {
			users[broker.Partition(fmt.Append(nil, i), 2)] = fmt.Sprint(i)
		}
		first := publishing(t.Context(), l, events(t, users[0], 1, 1))
		second := publishing(t.Context(), l, events(t, users[1], 1, 1))
		synctest.Wait()
		if got := f.sizes(); len(got) != 2 {
			t.Errorf("%d publications at once, want 2", len(got))
		}
		close(f.gate)
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		l.Close()
	})
}

// TestLogErrors tells which events failed, and how.
func TestLogErrors(t *testing.T) {
	odd := errors.New("odd")
	tooLarge := fmt.Errorf("%w: by far", domain.ErrTooLarge)
	for name, test := range map[string]struct {
		publish error
		want    []error
	}{
		"none":               {nil, []error{nil, nil, nil}},
		"unknown":            {odd, []error{domain.ErrUnavailable, domain.ErrUnavailable, domain.ErrUnavailable}},
		"known":              {tooLarge, []error{domain.ErrTooLarge, domain.ErrTooLarge, domain.ErrTooLarge}},
		"each":               {application.PublishError{nil, tooLarge, odd}, []error{nil, domain.ErrTooLarge, domain.ErrUnavailable}},
		"each, wrapped":      {fmt.Errorf("x: %w", application.PublishError{odd, nil, nil}), []error{domain.ErrUnavailable, nil, nil}},
		"each, of another":   {application.PublishError{odd}, []error{domain.ErrUnavailable, domain.ErrUnavailable, domain.ErrUnavailable}},
		"each, but no error": {application.PublishError{nil, nil, nil}, []error{nil, nil, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeBroker{gate: make(chan error)}
				l := f.log(t)
				defer l.Close()
				hold := publishing(t.Context(), l, events(t, "user", 1, 1))
				synctest.Wait()
				done := publishing(t.Context(), l, events(t, "user", 3, 1))
				synctest.Wait()
				f.gate <- nil
				if err := <-hold; err != nil {
					t.Error(err)
				}
				synctest.Wait()
				f.gate <- test.publish
				err := <-done
				var each application.PublishError
				if failed := slices.ContainsFunc(test.want, func(e error) bool { return e != nil }); !failed {
					if err != nil {
						t.Errorf("got the error %v", err)
					}
					return
				}
				if !errors.As(err, &each) || len(each) != 3 {
					t.Fatalf("got the error %v, want one for each event", err)
				}
				for i, want := range test.want {
					if !errors.Is(each[i], want) || (want == nil && each[i] != nil) {
						t.Errorf("event %d: %v, want %v", i, each[i], want)
					}
				}
			})
		})
	}
}

// TestLogGivesUp ends the context of calls that wait: their events count as unavailable, and those not begun with are not
// published any more.
func TestLogGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{gate: make(chan error)}
		l := f.log(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := publishing(ctx, l, events(t, "user", 1, 1))
		synctest.Wait()
		queued := publishing(ctx, l, events(t, "user", 2, 1))
		crowded := publishing(ctx, l, events(t, "user", 3000, 1))
		patient := events(t, "user", 1, 1)
		for _, w := range []<-chan error{begun, queued, crowded} {
			if err := <-w; !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("got the error %v", err)
			}
		}
		last := publishing(t.Context(), l, patient)
		close(f.gate)
		if err := <-last; err != nil {
			t.Error(err)
		}
		l.Close()
		if ids := f.ids(); len(ids) != 2 || ids[1] != patient[0].ID().String() {
			t.Errorf("%d events published, want the first and the last", len(ids))
		}
	})
}

// TestLogCloseWaits closes while a publication is under way.
func TestLogCloseWaits(t *testing.T) {
	f := &fakeBroker{gate: make(chan error)}
	l := f.log(t)
	begun := publishing(t.Context(), l, events(t, "user", 1, 1))
	f.gate <- nil
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	last := publishing(t.Context(), l, events(t, "user", 1, 1))
	for len(f.sizes()) < 2 { // until the publisher has it
		runtime.Gosched()
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		l.Close()
		if n := l.Published(); n != 2 {
			t.Errorf("closed with %d of 2 publications done", n)
		}
	}()
	f.gate <- nil
	if err := <-last; err != nil {
		t.Error(err)
	}
	<-closed
}

func TestLogLogsEachEvent(t *testing.T) {
	var text strings.Builder
	f := &fakeBroker{}
	l := f.logTo(t, slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	event := events(t, "user", 1, 1)
	if _, err := l.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, want := range []string{"topic=topic", "partition=2", "offset=40", "eventId=" + event[0].ID().String()} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log %q lacks %q", text.String(), want)
		}
	}
}

// nowhere is a broker that takes everything at once.
type nowhere struct{ fakeBroker }

func (n *nowhere) Publisher() message.Publisher            { return n }
func (*nowhere) Publish(string, ...*message.Message) error { return nil }
func (*nowhere) Lanes() int                                { return 6 }

// BenchmarkLog is what the log itself costs, alone and behind a spool to which nothing goes: the publisher does nothing.
func BenchmarkLog(b *testing.B) {
	o := broker.SpoolOptions{Bytes: 1 << 30, Options: broker.Options{
		Topic: "topic", PublishTimeout: timeout, MaxMessageBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}}
	l := broker.NewLog(&nowhere{}, o.Options)
	defer l.Close()
	local, err := sqlitelog.Open(b.Context(), &url.URL{Scheme: "sqlite-log", Path: filepath.Join(b.TempDir(), "spool.db")}, o.Options)
	if err != nil {
		b.Fatal(err)
	}
	defer local.Close()
	s, err := broker.NewSpool(b.Context(), l, &nowhere{}, local.(broker.LocalLog), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var users [][]domain.Event
	for u := range 64 {
		users = append(users, events(b, fmt.Sprint(u), 1, 100))
	}
	for name, log := range map[string]application.Log{"log": l, "spool": s} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, callers), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						if _, err := log.Publish(b.Context(), users[i%len(users)]); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
