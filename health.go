package netstreamflow

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/adapters/broker"
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
	consumer      *consumer.Consumer
	// keys are those of tokens that come from the network, nil where they do not.
	keys     *auth.RemoteKeys
	draining atomic.Bool
}

func newHealth(b broker.Broker, l *broker.Log, spool *broker.Spool, s application.Store, c consumers, a *auth.Authenticator,
	logger *slog.Logger,
) *health {
	h := &health{
		log:      l,
		spool:    spool,
		broker:   &check{name: "broker", logger: logger},
		store:    &check{name: "store", ping: s.Ping, logger: logger},
		consumer: c.recorder,
	}
	if p, ok := b.(broker.Pinger); ok {
		h.broker.ping = p.Ping
	}
	if a != nil && a.Tokens != nil {
		h.keys = a.Tokens.Remote()
	}
	return h
}

// ready says whether each part does its work.
func (h *health) ready(ctx context.Context) []rest.Part {
	up, detail := h.consumer.Status()
	parts := []rest.Part{h.publishing(h.broker.part(ctx)), h.store.part(ctx), {Name: "consumer", Up: up, Detail: detail}}
	if h.spool != nil {
		parts = append(parts, spoolPart(h.spool.Status(ctx)))
	}
	if h.keys != nil {
		parts = append(parts, keysPart(h.keys.Status()))
	}
	if h.draining.Load() {
		parts = append(parts, rest.Part{Name: "service", Detail: "is shutting down"})
	}
	return parts
}

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

// keysPart says whether tokens can be verified: with keys, also with old ones while the issuer is away.
func keysPart(s auth.KeyStatus) rest.Part {
	p := rest.Part{Name: "auth keys", Up: s.Keys > 0}
	switch {
	case !p.Up:
		p.Detail = "have not been fetched"
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
	consuming := rest.Part{Name: "consumer", Up: h.consumer.Alive()}
	if !consuming.Up {
		consuming.Detail = "has ended"
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
