package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/domain"
)

type traceKey struct{}

// traced returns the headers of a publication that ctx carries.
func traced(ctx context.Context) map[string]string {
	trace, _ := ctx.Value(traceKey{}).(string)
	if trace == "" {
		return nil
	}
	return map[string]string{"trace": trace, broker.KeyMetadata: "not this", broker.ContentType: "nor this"}
}

func TestHeadersOfAPublication(t *testing.T) {
	f := &fakeBroker{lanes: 3}
	l := broker.NewLog(f, broker.Options{Topic: "topic", Logger: slog.New(slog.DiscardHandler), Headers: traced})
	for _, trace := range []string{"one", ""} {
		if _, err := l.Publish(context.WithValue(t.Context(), traceKey{}, trace), events(t, "user"+trace, 5, 1)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	n := 0
	for _, batch := range f.batches {
		for _, msg := range batch {
			n++
			user, trace := msg.Metadata[broker.KeyMetadata], msg.Metadata["trace"]
			if user != "user"+trace || msg.Metadata[broker.ContentType] != "application/json" {
				t.Errorf("%v", msg.Metadata)
			}
		}
	}
	if n != 10 {
		t.Errorf("%d messages", n)
	}
}

// TestPublicationsAreObserved counts the calls of the driver, and what they brought.
func TestPublicationsAreObserved(t *testing.T) {
	f := &fakeBroker{lanes: 1, gate: make(chan error, 2)}
	var mu sync.Mutex
	var seen []broker.Publication
	l := broker.NewLog(f, broker.Options{Topic: "topic", Logger: slog.New(slog.DiscardHandler), Observe: func(p broker.Publication) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, p)
	}})
	f.gate <- nil
	f.gate <- errAway
	_, first := l.Publish(t.Context(), events(t, "user", 3, 1))
	_, second := l.Publish(t.Context(), events(t, "user", 2, 1))
	l.Close()
	if first != nil || !errors.Is(second, domain.ErrUnavailable) {
		t.Errorf("%v, %v", first, second)
	}
	if len(seen) != 2 || seen[0].Events != 3 || seen[0].Err != nil || seen[0].Took < 0 || seen[1].Events != 2 || !errors.Is(seen[1].Err, errAway) {
		t.Errorf("%+v", seen)
	}
}

// TestReasons has each error of a publication named by one of the words.
func TestReasons(t *testing.T) {
	refused := &moody{publish: func(string) error { return errAway }}
	l, publish := refused.open(t, slog.DiscardHandler)
	defer l.Close()
	var last error
	for range 4 {
		_, last = publish("user")
	}
	if got := l.Transitions(); got != (circuit.Transitions{Opened: 1}) {
		t.Errorf("%+v", got)
	}
	closed := (&fakeBroker{lanes: 1}).log(t)
	closed.Close()
	_, closing := closed.Publish(t.Context(), events(t, "user", 1, 1))
	slow := &fakeBroker{lanes: 1, gate: make(chan error)}
	waiting := slow.log(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, pending := waiting.Publish(ctx, events(t, "user", 1, 1))
	close(slow.gate)
	waiting.Close()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{last, "refused"}, {closing, "closing"}, {pending, "timeout"}, {fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("x: %w", domain.ErrTooLarge), "too_large"}, {domain.Invalid("/x", "is bad"), "invalid"}, {errAway, "unavailable"},
		{errors.New("any"), "other"},
	} {
		if got := broker.Reason(tt.err); got != tt.want || !slices.Contains(broker.Reasons(), got) {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
