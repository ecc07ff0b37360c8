package netstreamflow

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

func provideLogger(cfg Config) *slog.Logger {
	var w io.Writer = os.Stderr
	if cfg.LogOutput != nil {
		w = cfg.LogOutput
	}
	o := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == formatText {
		return newLogger(slog.NewTextHandler(w, o))
	}
	return newLogger(slog.NewJSONHandler(w, o))
}

func newLogger(h slog.Handler) *slog.Logger {
	return slog.New(&throttle{Handler: located{h}, seen: &seen{}})
}

// titled gives every line one message, and makes what was the message its error. It is for packages that know none but the standard
// library's logger: what they tell names addresses of clients and the like, and messages are what a [throttle] tells apart.
type titled struct {
	slog.Handler

	title string
}

// Handle implements [slog.Handler].
func (t titled) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, t.title, r.PC)
	line.AddAttrs(slog.String("error", strings.TrimSpace(r.Message)))
	return t.Handler.Handle(ctx, line)
}

// located adds to each line the trace and the span that it was logged in.
type located struct{ slog.Handler }

// Handle implements [slog.Handler].
func (l located) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		//nolint:sloglint // OpenTelemetry gives them these names in every program
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (l located) WithAttrs(attrs []slog.Attr) slog.Handler {
	return located{l.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (l located) WithGroup(name string) slog.Handler { return located{l.Handler.WithGroup(name)} }

const (
	throttlePeriod = 10 * time.Second
	throttleBurst  = 5
	// throttleMessages is how many are remembered. There are fewer, unless one has something in it that should be an attribute.
	throttleMessages = 1000
)

// throttle bounds how often the same warning or error is logged, so that a broker that is away does not fill the disk: the
// first few of each period pass, and the first of the next tells how many were left out.
type throttle struct {
	slog.Handler

	*seen
}

type seen struct {
	mu       sync.Mutex
	messages map[string]*tally
}

type tally struct {
	since  time.Time
	logged int
}

// Handle implements [slog.Handler].
func (t *throttle) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return t.Handler.Handle(ctx, r)
	}
	pass, suppressed := t.count(r.Message, r.Time)
	if !pass {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("suppressed", suppressed))
	}
	return t.Handler.Handle(ctx, r)
}

func (s *seen) count(message string, now time.Time) (pass bool, suppressed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages == nil {
		s.messages = make(map[string]*tally)
	}
	t := s.messages[message]
	if t == nil || now.Sub(t.since) >= throttlePeriod {
		if t != nil {
			suppressed = max(0, t.logged-throttleBurst)
		}
		if len(s.messages) >= throttleMessages {
			maps.DeleteFunc(s.messages, func(_ string, t *tally) bool { return now.Sub(t.since) >= throttlePeriod })
		}
		if len(s.messages) >= throttleMessages {
			clear(s.messages)
		}
		t = &tally{since: now}
		s.messages[message] = t
	}
	t.logged++
	return t.logged <= throttleBurst, suppressed
}

// WithAttrs implements [slog.Handler].
func (t *throttle) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &throttle{Handler: t.Handler.WithAttrs(attrs), seen: t.seen}
}

// WithGroup implements [slog.Handler].
func (t *throttle) WithGroup(name string) slog.Handler {
	return &throttle{Handler: t.Handler.WithGroup(name), seen: t.seen}
}
