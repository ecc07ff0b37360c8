package netstreamflow

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// faulty is a broker and a store that are away while err says so.
type faulty struct {
	broker.Broker

	err error
}

func (f *faulty) Publisher() message.Publisher { return f }

func (f *faulty) Publish(string, ...*message.Message) error { return f.err }

func (f *faulty) Close() error { return nil }

func (f *faulty) Event(context.Context, domain.UUID) ([]byte, error) { return nil, f.err }

func (f *faulty) Query(context.Context, application.Query, func([]byte) error) (string, error) {
	return "", f.err
}

// TestOpenBreakers has parts go away and come back, with few calls, with many and with none, and looks at what a scrape would say of
// their circuit breakers.
func TestOpenBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := &faulty{err: fmt.Errorf("%w: on purpose", domain.ErrUnavailable)}
		quiet := slog.New(slog.DiscardHandler)
		log := broker.NewLog(away, broker.Options{Topic: "topic", PublishTimeout: 10 * time.Second, Logger: quiet})
		defer log.Close()
		guard := store.NewGuard(away, store.GuardOptions{Timeout: 10 * time.Second, Queries: 8, Logger: quiet})
		event, err := domain.Draft{UserID: "u", EventType: "t"}.Event(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		call := func() {
			_, _ = log.Publish(t.Context(), []domain.Event{event})
			_, _ = guard.Event(t.Context(), event.ID())
		}
		expect := func(what string, answers, open bool) {
			t.Helper()
			if n := openLanes(log, answers); n != int(number(open)) {
				t.Errorf("%s: %d lanes are open", what, n)
			}
			if got := isOpen(guard.State().Breaker, answers); got != open {
				t.Errorf("%s: the store's breaker is open: %t", what, got)
			}
		}
		expect("all is well", true, false)
		for range 10 {
			call()
		}
		expect("both are away", true, true)
		for _, pause := range []time.Duration{time.Second, 10 * time.Second, 25 * time.Second} {
			for range 5 {
				time.Sleep(pause)
				expect("the next call would be a try", true, true)
				call()
				expect("a call has failed", true, true)
			}
		}
		time.Sleep(quietAfter)
		expect("nobody calls, and they answer", true, false)
		expect("nobody calls, and they do not answer", false, true)
		away.err = nil
		call()
		expect("both are back", true, false)
		expect("both are back, and a ping is late", false, false)
	})
}
