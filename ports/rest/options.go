package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Defaults of [Options].
const (
	DefaultMaxBody      = 1 << 20
	DefaultMaxBatchBody = 16 << 20

	defaultMaxHeader     = 64 << 10
	defaultHeaderTimeout = 10 * time.Second
	defaultBodyTimeout   = 30 * time.Second
	defaultBatchTimeout  = 2 * time.Minute
	defaultChunkTimeout  = 30 * time.Second
	defaultIdleTimeout   = 2 * time.Minute
	defaultHealthTimeout = 5 * time.Second
	defaultRetryAfter    = time.Second
)

// Part is the state of one part of the service, such as the broker, as the health checks show it.
type Part struct {
	Name string
	Up   bool
	// Detail says why the part is not up, or what there is to say of one that is. It is shown to callers.
	Detail string
}

// Options are what the API stands on. Publish and Find are required, zero means the default for all else.
type Options struct {
	Publish *application.Publish
	Find    *application.Find
	// Letters and Inspect answer what administrators ask; what is nil is not there (501).
	Letters *application.Letters
	Inspect *application.Inspect
	// Live and Ready tell the parts whose state /health/live and /health/ready show: 200 when every one is up, else 503.
	Live, Ready func(ctx context.Context) []Part
	// MaxBody bounds the body of one event, and each event of a batch, in bytes.
	MaxBody int64
	// MaxBatchBody bounds the body of a batch in bytes, MaxBatch its events (at most [domain.MaxElements]).
	MaxBatchBody int64
	MaxBatch     int
	// Version is that of the program; the OpenAPI document shows it.
	Version string
	Logger  *slog.Logger
	// Observer is told of each request, nil: nobody is.
	Observer Observer
	// Load bounds what is under way.
	Load *Load
	// Limits hold each caller to a rate.
	Limits Limits
	// RetryAfter is how long a 503 asks its caller to wait where the broker or the store is away, in whole seconds upwards.
	RetryAfter time.Duration
	// TrustedProxies are the addresses of proxies whose word on where a request comes from is taken.
	TrustedProxies []netip.Prefix

	// Authenticate tells who makes a request; its errors are [domain.ErrUnauthenticated], [domain.ErrBadCredentials] and
	// [domain.ErrUnavailable]. nil lets everybody do everything.
	Authenticate func(r *http.Request) (Principal, error)
	// Known tells who makes a request where that is known at once, as by a token that Authenticate has verified shortly before.
	// Such requests are not held up where many wait for Authenticate. nil knows nobody.
	Known func(r *http.Request) (Principal, bool)
	// Means are the ways in which Authenticate lets callers show who they are, of [application.ByToken] and [application.ByKey], as
	// the OpenAPI document tells them; none means both.
	Means []string
	// OwnUser has each caller without the scope admin write and read only events of its own user.
	OwnUser bool
	// Origins are those of pages of other sites that may call, such as "https://app.example.com", or "*" alone for all; none
	// for none.
	Origins []string
	// HSTS tells browsers that come over TLS never to come without it again.
	HSTS bool

	// HeaderTimeout is how long a request's header may take to arrive.
	HeaderTimeout time.Duration
	// BodyTimeout and BatchTimeout are how long the body of one event, or of a batch, may take to arrive.
	BodyTimeout, BatchTimeout time.Duration
	// ChunkTimeout is how long a client may take to receive each piece of a streamed answer.
	ChunkTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request.
	IdleTimeout time.Duration
	// HealthTimeout ends the context of Live and Ready.
	HealthTimeout time.Duration
}

func (o Options) validate() error {
	var faults []error
	if o.Publish == nil || o.Find == nil {
		faults = append(faults, errors.New("the use cases Publish and Find are required"))
	}
	if o.MaxBody < 0 || o.MaxBatchBody < 0 || o.MaxBatch < 0 || o.MaxBatch > domain.MaxElements {
		faults = append(faults, errors.New("a limit is out of range"))
	}
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxBody, DefaultMaxBody)
	setDefault(&o.MaxBatchBody, DefaultMaxBatchBody)
	setDefault(&o.MaxBatch, domain.MaxElements)
	setDefault(&o.Letters, noLetters)
	setDefault(&o.Version, "devel")
	setDefault(&o.Logger, slog.New(slog.DiscardHandler))
	if o.Load == nil {
		o.Load = NewLoad(Bounds{})
	}
	setDefault(&o.HeaderTimeout, defaultHeaderTimeout)
	setDefault(&o.BodyTimeout, defaultBodyTimeout)
	setDefault(&o.BatchTimeout, defaultBatchTimeout)
	setDefault(&o.ChunkTimeout, defaultChunkTimeout)
	setDefault(&o.IdleTimeout, defaultIdleTimeout)
	setDefault(&o.HealthTimeout, defaultHealthTimeout)
	setDefault(&o.RetryAfter, defaultRetryAfter)
	return o
}

// noLetters has everything be unsupported.
var noLetters = application.NewLetters(nil)

func setDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}
