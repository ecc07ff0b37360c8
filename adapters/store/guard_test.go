package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	queryTimeout = 10 * time.Second
	bound        = 8
)

var errAway = fmt.Errorf("%w: nobody is there", domain.ErrUnavailable)

// moody is a reader that does what the test says.
type moody struct {
	query func(ctx context.Context, q application.Query, yield func([]byte) error) (string, error)

	mu    sync.Mutex
	tried int
}

func (m *moody) Event(ctx context.Context, _ domain.UUID) ([]byte, error) {
	var event []byte
	_, err := m.Query(ctx, application.Query{Limit: 1}, func(e []byte) error { event = e; return nil })
	return event, err
}

func (m *moody) Query(ctx context.Context, q application.Query, yield func([]byte) error) (string, error) {
	m.mu.Lock()
	m.tried++
	m.mu.Unlock()
	return m.query(ctx, q, yield)
}

// answers fails with each error in turn, and then yields an event.
func answers(errs ...error) *moody {
	return &moody{query: func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		if len(errs) > 0 {
			err := errs[0]
			errs = errs[1:]
			return "", err
		}
		return "next", yield([]byte("event"))
	}}
}

// hangs waits for the end of the context, as the stores do that have a server.
func hangs(ctx context.Context, _ application.Query, _ func([]byte) error) (string, error) {
	<-ctx.Done()
	return "", fmt.Errorf("read the store: %w", ctx.Err())
}

func guard(m *moody, handler slog.Handler) *store.Guard {
	return store.NewGuard(m, store.GuardOptions{Timeout: queryTimeout, Queries: bound, Retries: 2, Breaker: circuit.Policy{Failures: 5}, Logger: slog.New(handler)})
}

func page(ctx context.Context, g *store.Guard) (events []string, next string, err error) {
	next, err = g.Query(ctx, application.Query{Limit: 10}, func(event []byte) error {
		events = append(events, string(event))
		return nil
	})
	return events, next, err
}

func wantAway(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("%s: got the error %v, want unavailable", what, err)
	}
}

func TestGuardPassesThrough(t *testing.T) {
	g := guard(answers(), slog.DiscardHandler)
	if events, next, err := page(t.Context(), g); len(events) != 1 || next != "next" || err != nil {
		t.Errorf("%q %q %v", events, next, err)
	}
	if event, err := g.Event(t.Context(), domain.UUID{}); string(event) != "event" || err != nil {
		t.Errorf("%q %v", event, err)
	}
	for range 20 {
		for _, want := range []error{domain.ErrNotFound, fmt.Errorf("%w: %w", domain.ErrUnavailable, domain.ErrNotFound), domain.Invalid("/cursor", "is none"), errors.New("a fault")} {
			m := answers(want)
			if _, _, err := page(t.Context(), guard(m, slog.DiscardHandler)); !errors.Is(err, want) || m.tried != 1 {
				t.Errorf("got %v after %d tries, want %v", err, m.tried, want)
			}
		}
	}
	if s := g.State(); s != (store.GuardState{MaxWaiting: bound, MaxStreaming: bound / 2}) {
		t.Errorf("%+v", s)
	}
}

// TestGuardTriesAgain has a store that is away for a moment: a query that has yielded nothing is tried again.
func TestGuardTriesAgain(t *testing.T) {
	for tries, want := range map[int]error{1: nil, 2: nil, 3: domain.ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			m := answers(slices.Repeat([]error{errAway}, tries)...)
			g := guard(m, slog.DiscardHandler)
			start := time.Now()
			events, _, err := page(t.Context(), g)
			if !errors.Is(err, want) || err == nil && len(events) != 1 {
				t.Errorf("after %d failures: %q %v", tries, events, err)
			}
			if took := time.Since(start); took > 250*time.Millisecond || took < 25*time.Millisecond {
				t.Errorf("%d failures took %v", tries, took)
			}
			if got := g.State().Retried; got != int64(min(tries, 2)) {
				t.Errorf("%d failures were followed by %d new tries", tries, got)
			}
		})
	}
}

// TestGuardDoesNotRepeatEvents has the store go away in the middle of an answer.
func TestGuardDoesNotRepeatEvents(t *testing.T) {
	m := &moody{query: func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		_ = yield([]byte("first"))
		return "", errAway
	}}
	events, _, err := page(t.Context(), guard(m, slog.DiscardHandler))
	wantAway(t, "query", err)
	if m.tried != 1 || len(events) != 1 {
		t.Errorf("tried %d times, got %q", m.tried, events)
	}
}

// TestGuardRefuses has a store that fails fast: after five queries nothing is tried for a second, then one, and with its
// success everything.
func TestGuardRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		away := true
		m := &moody{}
		m.query = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
			if away {
				return "", errAway
			}
			return "", yield([]byte("event"))
		}
		g := guard(m, slog.NewTextHandler(&text, nil))
		for range 20 {
			_, _, err := page(t.Context(), g)
			wantAway(t, "while the store is away", err)
		}
		if s := g.State(); m.tried != 15 || s.Refused != 15 || !s.Breaker.Open || s.Breaker.Due || s.Breaker.Since.IsZero() {
			t.Errorf("%d tries, %+v", m.tried, s)
		}
		for range 5 {
			time.Sleep(time.Second)
			m.tried = 0
			for range 10 {
				_, _, err := page(t.Context(), g)
				wantAway(t, "a second later", err)
			}
			if m.tried != 3 {
				t.Errorf("%d tries in a second, want those of one query", m.tried)
			}
		}
		away = false
		time.Sleep(time.Second)
		if s := g.State().Breaker; !s.Open || !s.Due {
			t.Errorf("%+v", s)
		}
		for range 10 {
			if _, _, err := page(t.Context(), g); err != nil {
				t.Error("the store is back:", err)
			}
		}
		if s := g.State().Breaker; s.Open || !s.Since.IsZero() || s.Transitions != (circuit.Transitions{Opened: 1, Tried: 6, Closed: 1}) {
			t.Errorf("%+v", s)
		}
		for _, line := range []string{"the store is away", "the store is back"} {
			if n := strings.Count(text.String(), line); n != 1 {
				t.Errorf("%q is in the log %d times:\n%s", line, n, text.String())
			}
		}
	})
}

// TestGuardFlapping has a store that fails now and then: nobody is refused for the others' bad luck.
func TestGuardFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		var n int
		m.query = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
			if n++; n%13 < 12 { // four queries of three tries each
				return "", errAway
			}
			return "", yield([]byte("event"))
		}
		g := guard(m, slog.DiscardHandler)
		for range 500 {
			_, _, _ = page(t.Context(), g)
		}
		if s := g.State(); s.Refused != 0 || s.Breaker.Open {
			t.Errorf("%+v", s)
		}
	})
}

// TestGuardHangs has a store that says nothing: queries end with the time-out, later ones at once, and when it is back all is
// well.
func TestGuardHangs(t *testing.T) {
	for name, limit := range map[string]int{"page": 10, "stream": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &moody{query: hangs}
				g := guard(m, slog.DiscardHandler)
				ask := func() (time.Duration, error) {
					start := time.Now()
					_, err := g.Query(t.Context(), application.Query{Limit: limit}, func([]byte) error { return nil })
					return time.Since(start), err
				}
				for range 5 {
					took, err := ask()
					wantAway(t, "first queries", err)
					if took != queryTimeout {
						t.Errorf("it took %v", took)
					}
				}
				for range 10 {
					took, err := ask()
					wantAway(t, "later queries", err)
					if took != 0 {
						t.Errorf("refused after %v", took)
					}
				}
				if s := g.State(); s.TimedOut != 5 || s.Retried != 0 || m.tried != 5 {
					t.Errorf("%+v after %d tries", s, m.tried)
				}
				m.query = answers().query
				time.Sleep(time.Second)
				if _, err := ask(); err != nil || g.State().Breaker.Open {
					t.Error("the store is back:", err)
				}
			})
		})
	}
}

// TestGuardProbeHangs has the query hang that is to find out whether the store is back: no other one goes with it.
func TestGuardProbeHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		m.query = func(context.Context, application.Query, func([]byte) error) (string, error) { return "", errAway }
		g := guard(m, slog.DiscardHandler)
		for range 5 {
			_, _, _ = page(t.Context(), g)
		}
		m.query = hangs
		m.tried = 0
		time.Sleep(time.Second)
		for range 20 {
			go func() { _, _, _ = page(t.Context(), g) }()
		}
		time.Sleep(time.Second) // for those that wait for it
		synctest.Wait()
		if m.tried != 1 {
			t.Errorf("%d queries went through", m.tried)
		}
		if s := g.State(); !s.Breaker.Open || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		// A probe whose caller goes must not keep the breaker from trying again.
		time.Sleep(queryTimeout + time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, _ = page(ctx, g)
		time.Sleep(2 * time.Second)
		m.query = answers().query
		if _, _, err := page(t.Context(), g); err != nil {
			t.Error("the store is back:", err)
		}
	})
}

// TestGuardFollows has as many come at once when the store is back as may: all but the one that finds that out wait for it.
func TestGuardFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := true
		m := &moody{}
		m.query = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
			if away {
				return "", errAway
			}
			time.Sleep(100 * time.Millisecond)
			return "", yield([]byte("event"))
		}
		g := guard(m, slog.DiscardHandler)
		for range 5 {
			_, _, _ = page(t.Context(), g)
		}
		away = false
		time.Sleep(time.Second)
		var running sync.WaitGroup
		for range bound {
			running.Go(func() {
				if _, _, err := page(t.Context(), g); err != nil {
					t.Error("the store is back:", err)
				}
			})
		}
		running.Wait()
	})
}

// TestGuardTimeIsTheStores has a client that takes its time for every event.
func TestGuardTimeIsTheStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{query: func(ctx context.Context, _ application.Query, yield func([]byte) error) (string, error) {
			for range 5 {
				time.Sleep(time.Second) // the store's time
				if ctx.Err() != nil {
					return "", ctx.Err()
				}
				if err := yield([]byte("event")); err != nil {
					return "", err
				}
			}
			return "next", ctx.Err()
		}}
		g := guard(m, slog.DiscardHandler)
		slow := func([]byte) error { time.Sleep(time.Minute); return nil }
		if next, err := g.Query(t.Context(), application.Query{Limit: 10}, slow); next != "next" || err != nil {
			t.Errorf("%q %v", next, err)
		}
		if n := g.State().TimedOut; n != 0 {
			t.Errorf("%d were cut off", n)
		}
	})
}

// TestGuardOfSlowStore has a store that needs its time between the events: a page is cut off, a stream is not.
func TestGuardOfSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{query: func(ctx context.Context, _ application.Query, yield func([]byte) error) (string, error) {
			for range 5 {
				select {
				case <-ctx.Done():
					return "", ctx.Err()
				case <-time.After(queryTimeout - time.Second):
				}
				if err := yield([]byte("event")); err != nil {
					return "", err
				}
			}
			return "", nil
		}}
		g := guard(m, slog.DiscardHandler)
		events := 0
		count := func([]byte) error { events++; return nil }
		if _, err := g.Query(t.Context(), application.Query{}, count); err != nil || events != 5 {
			t.Errorf("a stream of %d events: %v", events, err)
		}
		events = 0
		start := time.Now()
		_, err := g.Query(t.Context(), application.Query{Limit: 10}, count)
		wantAway(t, "a page", err)
		if events != 1 || time.Since(start) != queryTimeout {
			t.Errorf("a page of %d events ended after %v", events, time.Since(start))
		}
	})
}

// TestGuardIgnoresTheCallers has callers who go, and who do not want more: that says nothing of the store.
func TestGuardIgnoresTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{query: hangs}
		g := guard(m, slog.DiscardHandler)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := page(ctx, g); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			cancel()
		}
		m.query = answers().query
		gone := fmt.Errorf("%w: the client's own", domain.ErrUnavailable)
		for range 20 {
			if _, err := g.Query(t.Context(), application.Query{}, func([]byte) error { return gone }); !errors.Is(err, gone) {
				t.Errorf("%v", err)
			}
		}
		if s := g.State(); s.Breaker.Open || s.Retried != 0 || s.TimedOut != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestGuardBounds has more queries than may be under way: the others are refused at once, streams leave room for pages, and
// slow readers of pages for others.
func TestGuardBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, readers := make(chan struct{}), make(chan struct{})
		m := &moody{query: func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
			<-store
			return "", yield([]byte("event"))
		}}
		g := guard(m, slog.DiscardHandler)
		var refused atomic.Int64
		ask := func(limit, times int) {
			for range times {
				go func() {
					_, err := g.Query(t.Context(), application.Query{Limit: limit}, func([]byte) error { <-readers; return nil })
					if errors.Is(err, domain.ErrOverloaded) {
						refused.Add(1)
					} else if err != nil {
						t.Error(err)
					}
				}()
			}
			synctest.Wait()
		}
		want := func(waiting, streaming int, refusals int64) {
			t.Helper()
			s := g.State()
			if s.Waiting != waiting || s.Streaming != streaming || s.Overloads != refusals || refused.Load() != refusals || s.Breaker.Open {
				t.Errorf("%d were refused, %+v", refused.Load(), s)
			}
		}
		ask(0, 10)
		want(4, 4, 6)
		ask(10, 10)
		want(bound, 4, 12)
		close(store)
		synctest.Wait()
		want(0, 4, 12)
		ask(0, 10)
		want(0, 4, 22)
		for range 10 * bound { // one after the other: each has its event before the next one comes
			ask(10, 1)
		}
		want(0, 4, 22)
		close(readers)
		synctest.Wait()
		want(0, 0, 22)
		ask(0, 1)
		want(0, 0, 22)
	})
}
