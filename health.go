package netstreamflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/limit"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

const (
	// pingTimeout bounds a health check of one part; pingAge is how long its outcome serves.
	pingTimeout = 3 * time.Second
	pingAge     = time.Second
)

// health knows the state of each part.
type health struct {
	broker, store *check
	log           *broker.Log
	spool         *broker.Spool
	guard         *store.Guard
	limiter       *limit.Redis
	limits        *check
	limitsClosed  bool
	consumer      *consumer.Consumer
	lag           *lag
	// tokens have keys, nil where no tokens are taken.
	tokens   *auth.Tokens
	draining atomic.Bool
}

func newHealth(b broker.Broker, l *broker.Log, spool *broker.Spool, s application.Store, g *store.Guard, limiter *limit.Redis,
	cfg valid, c consumers, behind *lag, a *auth.Authenticator, logger *slog.Logger,
) *health {
	h := &health{
		guard: g, limiter: limiter, limitsClosed: cfg.RateLimitFail == failClosed,
		log:      l,
		spool:    spool,
		broker:   &check{name: "broker", logger: logger},
		store:    &check{name: "store", ping: s.Ping, logger: logger},
		consumer: c.recorder,
		lag:      behind,
	}
	if p, ok := b.(broker.Pinger); ok {
		h.broker.ping = p.Ping
	}
	if a != nil {
		h.tokens = a.Tokens
	}
	if limiter != nil {
		h.limits = &check{name: "limiter", ping: limiter.Ping, logger: logger}
	}
	return h
}

// ready says whether each part does its work.
func (h *health) ready(ctx context.Context) []rest.Part {
	var asking sync.WaitGroup
	var store rest.Part
	asking.Go(func() { store = h.querying(h.store.part(ctx)) })
	logParts := h.logParts(ctx)
	asking.Wait()
	parts := append(logParts, store)
	if h.spool != nil {
		parts = append(parts, spoolPart(h.spool.Status(ctx)))
	}
	if h.tokens != nil {
		parts = append(parts, keysPart(h.tokens.Status()))
	}
	if h.limiter != nil {
		parts = append(parts, h.limiting(ctx))
	}
	if h.draining.Load() {
		parts = append(parts, rest.Part{Name: "service", Detail: "is shutting down"})
	}
	return parts
}

// logParts are the broker, its topic, and the consumer that reads that.
func (h *health) logParts(ctx context.Context) []rest.Part {
	asked := h.broker.part(ctx)
	parts := []rest.Part{h.publishing(asked)}
	if h.lag.log == nil {
		up, detail := h.consumer.Status()
		return append(parts, rest.Part{Name: "consumer", Up: up, Detail: detail})
	}
	topic := rest.Part{Name: "topic", Detail: "is not asked while the broker does not answer"}
	m := measure{place: h.consumer.Place(), err: errNotAsked}
	if asked.Up {
		m = h.lag.measure(ctx)
		topic = topicPart(m)
	}
	return append(parts, topic, h.consuming(m))
}

var errNotAsked = errors.New("not asked")

func topicPart(m measure) rest.Part {
	switch {
	case m.err != nil:
		return rest.Part{Name: "topic", Detail: "cannot be asked"}
	case m.partitions == 0:
		return rest.Part{Name: "topic", Detail: "has no partitions"}
	case m.partitions == 1:
		return rest.Part{Name: "topic", Up: true, Detail: "1 partition"}
	}
	return rest.Part{Name: "topic", Up: true, Detail: fmt.Sprintf("%d partitions", m.partitions)}
}

// consuming is the consumer's part: what holds it up, which partitions it has, and how far it is behind.
func (h *health) consuming(m measure) rest.Part {
	up, detail := h.consumer.Status()
	details := []string{detail}
	if stuck := h.lag.stuckSince(); up && stuck != "" {
		up, details[0] = false, stuck
	}
	if m.place.Assigned != nil {
		details = append(details, partitionsText(m.place.Assigned))
	}
	if m.place.Known && m.err == nil && len(m.place.Assigned) > 0 {
		details = append(details, fmt.Sprintf("%d records behind", m.records))
	}
	if !m.place.Progressed.IsZero() {
		details = append(details, "last progress "+m.place.Progressed.UTC().Format(time.RFC3339))
	}
	details = slices.DeleteFunc(details, func(d string) bool { return d == "" })
	return rest.Part{Name: "consumer", Up: up, Detail: strings.Join(details, ", ")}
}

// partitionsText names the partitions, such as 0-3 and 7, which are in order.
func partitionsText(partitions []int32) string {
	if len(partitions) == 0 {
		return "has no partitions"
	}
	var ranges []string
	for first := 0; first < len(partitions); {
		last := first
		for last+1 < len(partitions) && partitions[last+1] == partitions[last]+1 {
			last++
		}
		text := strconv.Itoa(int(partitions[first]))
		if last > first {
			text += "-" + strconv.Itoa(int(partitions[last]))
		}
		ranges = append(ranges, text)
		first = last + 1
	}
	if len(ranges) > maxRanges {
		ranges = append(ranges[:maxRanges], "…")
	}
	return fmt.Sprintf("has partitions %s", strings.Join(ranges, ", "))
}

// maxRanges bounds what is told of partitions that are not next to each other.
const maxRanges = 16

// publishing adds to the broker's part what its circuit breakers refuse. One partition without a leader does not take the
// instance out of service: the others, and queries, work.
func (h *health) publishing(p rest.Part) rest.Part {
	r := h.log.Refusal()
	refused := r.Open
	if p.Up {
		refused -= r.Due // nobody has published since the broker is back
	}
	if refused == 0 {
		return p
	}
	what := "publishing is refused"
	if refused < r.Lanes {
		what = fmt.Sprintf("publishing to %d of %d partitions is refused", refused, r.Lanes)
	}
	what += " since " + r.Since.UTC().Format(time.RFC3339)
	if p.Detail != "" {
		what = p.Detail + ", and " + what
	}
	return rest.Part{Name: p.Name, Up: p.Up && refused < r.Lanes, Detail: what}
}

// querying adds to the store's part that its circuit breaker refuses queries.
func (h *health) querying(p rest.Part) rest.Part {
	s := h.guard.State().Breaker
	if !s.Open || p.Up && s.Due { // nobody has asked since the store is back
		return p
	}
	what := "queries are refused since " + s.Since.UTC().Format(time.RFC3339)
	if p.Detail != "" {
		what = p.Detail + ", and " + what
	}
	return rest.Part{Name: p.Name, Detail: what}
}

// limiting says whether the rate limits can be held. The server is asked besides: an instance that is not ready gets no
// requests, which would find out that it is back.
func (h *health) limiting(ctx context.Context) rest.Part {
	p, s := h.limits.part(ctx), h.limiter.State()
	if p.Up && (!s.Open || s.Due) {
		return p
	}
	p = rest.Part{Name: p.Name, Up: !h.limitsClosed, Detail: "the rate limits are not held"}
	if h.limitsClosed {
		p.Detail = "requests are refused, as the rate limits cannot be held"
	}
	if s.Open {
		p.Detail += ", since " + s.Since.UTC().Format(time.RFC3339)
	}
	return p
}

// spoolPart says what waits in the spool; it is not up when it takes nothing more.
func spoolPart(s broker.SpoolStatus) rest.Part {
	p := rest.Part{Name: "spool", Up: s.Err == nil && s.Bytes < s.Limit}
	switch {
	case s.Err != nil:
		p.Detail = "its file cannot be read"
	case s.Spooling || s.Events > 0:
		p.Detail = fmt.Sprintf("%d events (%s of %s) wait for the broker", s.Events, size(s.Bytes), size(s.Limit))
	default:
		p.Detail = "nothing waits for the broker"
	}
	return p
}

// keysPart says whether tokens can be verified: with keys, also with old ones while there are no newer ones.
func keysPart(s auth.KeyStatus) rest.Part {
	p := rest.Part{Name: "auth keys", Up: s.Keys > 0}
	switch {
	case !p.Up:
		p.Detail = "have not been fetched"
	case s.Err != nil && s.Fetched.IsZero():
		p.Detail = "are those from before: newer ones cannot be read or used; the log says why"
	case s.Err != nil:
		p.Detail = "are those of " + s.Fetched.UTC().Format(time.RFC3339) + ": since then they could not be fetched"
	}
	return p
}

// size is a number of bytes for people.
func size(bytes int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if bytes >= unit.bytes {
			return strconv.FormatFloat(float64(bytes)/float64(unit.bytes), 'f', 1, 64) + " " + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10) + " bytes"
}

// live says whether the process can go on: a broker or store that is away is waited for, a consumer that has ended is not.
func (h *health) live(context.Context) []rest.Part {
	consuming := rest.Part{Name: "consumer", Up: true}
	switch {
	case !h.consumer.Alive():
		consuming = rest.Part{Name: "consumer", Detail: "has ended"}
	case h.lag.hopeless():
		consuming = rest.Part{Name: "consumer", Detail: h.lag.stuckSince()}
	}
	const notAsked = "is not asked: it is waited for when it is away"
	return []rest.Part{{Name: "broker", Up: true, Detail: notAsked}, {Name: "store", Up: true, Detail: notAsked}, consuming}
}

// check asks a part how it is, at most once a second.
type check struct {
	name   string
	ping   func(context.Context) error
	logger *slog.Logger

	mu  sync.Mutex
	at  time.Time
	err error
}

func (c *check) part(ctx context.Context) rest.Part {
	if c.ping == nil {
		return rest.Part{Name: c.name, Up: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > pingAge {
		// The outcome serves other callers too, so that it must not end with this one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		c.err, c.at = c.ping(ctx), time.Now()
		if c.err != nil {
			c.logger.WarnContext(ctx, "the "+c.name+" does not answer", "error", c.err)
		}
	}
	if c.err != nil {
		return rest.Part{Name: c.name, Detail: "does not answer"}
	}
	return rest.Part{Name: c.name, Up: true}
}
