package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const timeout = 10 * time.Second

var errAway = fmt.Errorf("%w: nobody is there", domain.ErrUnavailable)

// moody is a broker whose publisher does what the test says.
type moody struct {
	fakeBroker

	publish func(user string) error
	ping    func() error
	tried   atomic.Int64
}

func (m *moody) Publisher() message.Publisher { return m }

func (m *moody) Publish(_ string, msgs ...*message.Message) error {
	m.tried.Add(1)
	return m.publish(msgs[0].Metadata[broker.KeyMetadata])
}

func (m *moody) Ping(context.Context) error { return m.ping() }

// open returns a log of the broker, and what publishes one event of a user and says how long that took.
func (m *moody) open(t *testing.T, handler slog.Handler) (*broker.Log, func(user string) (time.Duration, error)) {
	l := broker.NewLog(m, broker.Options{Topic: "topic", PublishTimeout: timeout, Logger: slog.New(handler)})
	return l, func(user string) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		start := time.Now()
		_, err := l.Publish(ctx, events(t, user, 1, 1))
		return time.Since(start), err
	}
}

func wantAway(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("%s: got the error %v, want unavailable", what, err)
	}
}

// TestBreakerPolicy has a policy of its own: it opens with the first failure, and for longer.
func TestBreakerPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{publish: func(string) error { return errAway }}
		l := broker.NewLog(m, broker.Options{
			Topic: "topic", Breaker: circuit.Policy{Failures: 1, Pause: 5 * time.Second}, Logger: slog.New(slog.DiscardHandler),
		})
		defer l.Close()
		for second := range 11 {
			_, err := l.Publish(t.Context(), events(t, "user", 1, 1))
			wantAway(t, "publish", err)
			if n, want := m.tried.Load(), int64(1+second/5); n != want {
				t.Errorf("after %d s %d publications were tried, want %d", second, n, want)
			}
			<-time.After(time.Second)
		}
	})
}

// TestBreakerRefuses has a publisher that fails fast: after three failures nothing is tried for a second, then one event, and
// with its success everything.
func TestBreakerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		answer := errAway
		m := &moody{publish: func(string) error { return answer }}
		l, publish := m.open(t, slog.NewTextHandler(&text, nil))
		defer l.Close()
		for range 20 {
			_, err := publish("user")
			wantAway(t, "while the broker is away", err)
		}
		if n := m.tried.Load(); n != 3 {
			t.Errorf("%d publications were tried, want 3", n)
		}
		began := time.Now()
		if r := l.Refusal(); r != (broker.Refusal{Lanes: 1, Open: 1, Since: began}) {
			t.Errorf("got %+v", r)
		}
		for range 5 {
			<-time.After(time.Second)
			for range 3 {
				_, err := publish("user")
				wantAway(t, "a second later", err)
			}
		}
		if n := m.tried.Load(); n != 8 {
			t.Errorf("%d publications were tried, want one more for each second", n-3)
		}
		answer = nil
		<-time.After(time.Second)
		if r := l.Refusal(); r != (broker.Refusal{Lanes: 1, Open: 1, Due: 1, Since: began}) {
			t.Errorf("got %+v", r)
		}
		for range 3 {
			if _, err := publish("user"); err != nil {
				t.Error("the broker is back:", err)
			}
		}
		if r := l.Refusal(); r != (broker.Refusal{Lanes: 1}) {
			t.Errorf("got %+v", r)
		}
		for _, line := range []string{"publishing is refused", "publishing goes on"} {
			if n := strings.Count(text.String(), line); n != 1 {
				t.Errorf("%q is in the log %d times", line, n)
			}
		}
	})
}

// TestBreakerFollows has many come at once when the broker is back, and when it still hangs: nobody is refused for not being the probe
// before it is clear that this does not succeed soon.
func TestBreakerFollows(t *testing.T) {
	for name, c := range map[string]struct {
		probe, first, later time.Duration
		failed              int
	}{
		"back":      {probe: 100 * time.Millisecond, first: 100 * time.Millisecond, later: 0},
		"hangs":     {probe: 5 * time.Second, first: 500 * time.Millisecond, later: 0, failed: 60},
		"back late": {probe: 700 * time.Millisecond, first: 500 * time.Millisecond, later: 0, failed: 59},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hang atomic.Int64
				answer := errAway
				m := &moody{publish: func(string) error {
					<-time.After(time.Duration(hang.Swap(0)))
					return answer
				}}
				l, publish := m.open(t, slog.DiscardHandler)
				defer l.Close()
				for range 3 {
					_, err := publish("user")
					wantAway(t, "while the broker is away", err)
				}
				<-time.After(time.Second)
				answer = nil
				hang.Store(int64(c.probe))
				var running sync.WaitGroup
				var failed atomic.Int64
				for range 60 {
					running.Go(func() {
						took, err := publish("user")
						if err != nil {
							failed.Add(1)
						}
						if most := max(c.first, min(c.probe, time.Second)); took > most {
							t.Errorf("it took %v", took)
						}
					})
				}
				running.Wait()
				if n := failed.Load(); n != int64(c.failed) {
					t.Errorf("%d of 60 failed, want %d", n, c.failed)
				}
				if took, _ := publish("user"); took != c.later {
					t.Errorf("a later one took %v", took)
				}
			})
		})
	}
}

// TestBreakerProbes has a publication hang as the probe: nobody waits for it for long, who comes later is refused at once, and
// it closes the breaker when it succeeds after all.
func TestBreakerProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan error)
		m := &moody{publish: func(string) error { return <-gate }}
		l, publish := m.open(t, slog.DiscardHandler)
		defer l.Close()
		for range 3 {
			done := publishing(t.Context(), l, events(t, "user", 1, 1))
			gate <- errAway
			wantAway(t, "publish", <-done)
		}
		<-time.After(time.Second)
		for i, want := range []time.Duration{time.Second, 0, 0} {
			took, err := publish("user")
			wantAway(t, "probe", err)
			if took != want {
				t.Errorf("request %d was refused after %v, want %v", i, took, want)
			}
		}
		gate <- nil
		synctest.Wait()
		done := publishing(t.Context(), l, events(t, "user", 1, 1))
		gate <- nil
		if err := <-done; err != nil {
			t.Error("the broker is back:", err)
		}
	})
}

// TestBreakerOpensWhenAPublicationHangs has a publisher that does not even keep to its time-out: what waits behind it fails
// with it, what comes later at once, and when it returns all is well.
func TestBreakerOpensWhenAPublicationHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan error)
		m := &moody{publish: func(string) error { return <-gate }}
		l, publish := m.open(t, slog.DiscardHandler)
		defer l.Close()
		first := publishing(t.Context(), l, events(t, "user", 1, 1))
		<-time.After(timeout - time.Second)
		took, err := publish("user")
		wantAway(t, "publish behind it", err)
		if took != time.Second {
			t.Errorf("what waited behind it failed after %v", took)
		}
		for range 5 {
			took, err := publish("user")
			wantAway(t, "publish later", err)
			if took != 0 {
				t.Errorf("refused after %v", took)
			}
			<-time.After(time.Second)
		}
		gate <- nil
		if err := <-first; err != nil {
			t.Error(err)
		}
		second := publishing(t.Context(), l, events(t, "user", 1, 1))
		gate <- nil
		if err := <-second; err != nil {
			t.Error("the broker is back:", err)
		}
	})
}

// TestBreakerOpensAfterASlowFailure has the driver give up after the whole time-out, as Kafka's do: once is enough.
func TestBreakerOpensAfterASlowFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{publish: func(string) error {
			<-time.After(timeout)
			return errAway
		}}
		l, publish := m.open(t, slog.DiscardHandler)
		defer l.Close()
		_, err := publish("user")
		wantAway(t, "first", err)
		for range 100 {
			took, err := publish("user")
			wantAway(t, "later", err)
			if took != 0 {
				t.Fatalf("refused after %v", took)
			}
		}
	})
}

// TestBreakerStaysClosed has what is no sign of a broker that is away.
func TestBreakerStaysClosed(t *testing.T) {
	tooLarge := fmt.Errorf("%w: by far", domain.ErrTooLarge)
	for name, answers := range map[string][]error{
		"flapping":         {errAway, errAway, nil, errAway, errAway, nil},
		"too large":        {tooLarge, tooLarge, tooLarge, tooLarge},
		"invalid":          {domain.ErrInvalid, domain.ErrInvalid, domain.ErrInvalid, domain.ErrInvalid},
		"a caller's end":   {context.Canceled, context.Canceled, context.Canceled, context.Canceled},
		"failure of a few": {application.PublishError{errAway, nil}, application.PublishError{nil, errAway}, application.PublishError{errAway, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			var n int
			m := &moody{publish: func(string) error {
				n++
				return answers[n-1]
			}}
			l, _ := m.open(t, slog.DiscardHandler)
			defer l.Close()
			for range answers {
				_, _ = l.Publish(t.Context(), events(t, "user", 2, 1))
			}
			if refusing := l.Refusal().Open; n != len(answers) || refusing != 0 {
				t.Errorf("%d of %d publications were tried, %d lanes refuse", n, len(answers), refusing)
			}
		})
	}
}

// TestBreakerIgnoresTheDeadlinesOfCallers has callers that wait for less than a publication takes.
func TestBreakerIgnoresTheDeadlinesOfCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{publish: func(string) error {
			<-time.After(100 * time.Millisecond)
			return nil
		}}
		l, publish := m.open(t, slog.DiscardHandler)
		defer l.Close()
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			wantAway(t, "an impatient caller", <-publishing(ctx, l, events(t, "user", 1, 1)))
			cancel()
		}
		if _, err := publish("user"); err != nil {
			t.Error(err)
		}
	})
}

// TestBreakerOfEachLane has one partition without leader, and then the whole broker away.
func TestBreakerOfEachLane(t *testing.T) {
	users := map[int]string{}
	for i := 0; len(users) < 3; i++ {
		users[broker.Partition(fmt.Append(nil, i), 3)] = fmt.Sprint(i)
	}
	for name, test := range map[string]struct {
		ping   error
		others time.Duration
		want   int
	}{
		"one partition": {nil, time.Second, 1},
		"the broker":    {errAway, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &moody{fakeBroker: fakeBroker{lanes: 3}, ping: func() error { return test.ping }}
				m.publish = func(user string) error {
					if user == users[0] {
						<-time.After(timeout)
						return errAway
					}
					<-time.After(time.Second)
					return test.ping
				}
				l, publish := m.open(t, slog.DiscardHandler)
				defer l.Close()
				_, err := publish(users[0])
				wantAway(t, "first", err)
				synctest.Wait()
				if r := l.Refusal(); r.Open != test.want || r.Lanes != 3 {
					t.Errorf("%d of %d lanes refuse", r.Open, r.Lanes)
				}
				for lane := range 3 {
					want := test.others
					if lane == 0 {
						want = 0
					}
					if took, err := publish(users[lane]); took != want || (err == nil) != (want > 0) {
						t.Errorf("lane %d: %v after %v", lane, err, took)
					}
				}
			})
		})
	}
}

// TestBreakerUnderLoad has a broker that comes and goes under many callers: every call ends, and the last ones succeed.
func TestBreakerUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		m := &moody{ping: func() error { return nil }}
		m.lanes = 4
		m.publish = func(string) error {
			<-time.After(5 * time.Millisecond)
			if away.Load() {
				return errAway
			}
			return nil
		}
		l, _ := m.open(t, slog.DiscardHandler)
		var stopped atomic.Bool
		ended := make(chan struct{})
		const callers = 50
		for c := range callers {
			go func() {
				for !stopped.Load() {
					if _, err := l.Publish(t.Context(), events(t, fmt.Sprint(c), 3, 1)); err != nil {
						<-time.After(10 * time.Millisecond)
					}
				}
				ended <- struct{}{}
			}()
		}
		for range 5 {
			away.Store(true)
			<-time.After(3 * time.Second)
			if l.Refusal().Open == 0 {
				t.Error("nothing is refused while the broker is away")
			}
			away.Store(false)
			<-time.After(1100 * time.Millisecond)
			if n := l.Refusal().Open; n != 0 {
				t.Errorf("%d lanes refuse a second after the broker is back", n)
			}
		}
		stopped.Store(true)
		for range callers {
			<-ended
		}
		l.Close()
	})
}
