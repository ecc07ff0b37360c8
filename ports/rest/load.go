package rest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Defaults of [Bounds].
const (
	DefaultMaxRequests    = 1024
	DefaultMaxBodies      = 256 << 20
	DefaultMaxConnections = 8192
)

// maxAdministering is how many requests of administration may be in flight: each may read many large records of the log.
const maxAdministering = 16

// Bounds say how much may be under way at a time. Zero means the default.
type Bounds struct {
	// Requests is how many requests that publish may be in flight, and as many that query: a broker that is away must not
	// take queries with it, nor a store that is slow the events. As many may be for documents, such as the Swagger UI.
	Requests int
	// Bodies is how many bytes the bodies in flight may take, without the first 32 KiB of one event's that comes over HTTP/1.1, and
	// a batch's with what is made of it.
	Bodies int64
	// Connections is how many may be open, over all listeners of [Load.Listener].
	Connections int
}

// Load counts what is under way, and refuses at once what is above the bounds. It is safe for concurrent use.
type Load struct {
	bounds                              Bounds
	publishing, querying, administering gauge
	documents                           gauge
	sockets, bodies                     gauge
	waiting                             waiting
	deadlines                           deadlines
	refusedConnections                  atomic.Int64
	limited, uncounted                  atomic.Int64
	// ending says that clients are to go elsewhere; left is told when a connection is closed.
	ending atomic.Bool
	left   chan struct{}
}

// LoadState tells what is under way, and how often something was refused.
type LoadState struct {
	// Bounds are those of the load.
	Bounds Bounds
	// Publishing, Querying and Administering are requests in flight, MaxAdministering is the bound of the last; Bodies are the
	// bytes of large bodies, Connections those that are open.
	Publishing, Querying, Administering, MaxAdministering, Connections int
	Bodies                                                             int64
	// Documents are requests in flight for what everybody may read, such as the Swagger UI, without those for health. Their bound
	// is Bounds.Requests.
	Documents int
	// The refused are what was above a bound; of connections also those that then took the place of another one.
	RefusedPublishing, RefusedQuerying, RefusedAdministering, RefusedBodies, RefusedConnections int64
	RefusedDocuments                                                                            int64
	// Limited counts requests above a caller's limit, Uncounted those whose limiter could not tell.
	Limited, Uncounted int64
}

// NewLoad returns a load with the bounds.
func NewLoad(b Bounds) *Load {
	setDefault(&b.Requests, DefaultMaxRequests)
	setDefault(&b.Bodies, DefaultMaxBodies)
	setDefault(&b.Connections, DefaultMaxConnections)
	l := &Load{bounds: b, left: make(chan struct{}, 1)}
	l.publishing.most, l.querying.most = int64(b.Requests), int64(b.Requests)
	l.administering.most, l.documents.most = maxAdministering, int64(b.Requests)
	l.bodies.most, l.sockets.most = b.Bodies, int64(b.Connections)
	return l
}

// State returns what is under way now.
func (l *Load) State() LoadState {
	return LoadState{
		Bounds:     l.bounds,
		Publishing: int(l.publishing.now.Load()), Querying: int(l.querying.now.Load()), Connections: int(l.sockets.now.Load()),
		Administering: int(l.administering.now.Load()), MaxAdministering: maxAdministering,
		Bodies: l.bodies.now.Load(), Documents: int(l.documents.now.Load()),
		RefusedPublishing:    l.publishing.refused.Load(),
		RefusedQuerying:      l.querying.refused.Load(),
		RefusedAdministering: l.administering.refused.Load(),
		RefusedBodies:        l.bodies.refused.Load(),
		RefusedConnections:   l.refusedConnections.Load(),
		RefusedDocuments:     l.documents.refused.Load(),
		Limited:              l.limited.Load(), Uncounted: l.uncounted.Load(),
	}
}

// gauge is a number with a bound.
type gauge struct {
	most         int64
	now, refused atomic.Int64
}

// take adds n, unless that is more than the bound.
func (g *gauge) take(n int64) bool {
	if g.now.Add(n) <= g.most {
		return true
	}
	g.now.Add(-n)
	g.refused.Add(1)
	return false
}

// full says that there is no room for one more.
func (g *gauge) full() bool {
	if g.now.Load() < g.most {
		return false
	}
	g.refused.Add(1)
	return true
}

func (g *gauge) give(n int64) { g.now.Add(-n) }

var (
	errRequests = fmt.Errorf("%w: too many requests are in flight", domain.ErrOverloaded)
	errBodies   = fmt.Errorf("%w: the bodies in flight take too much memory", domain.ErrOverloaded)
)

// bounded says whether requests for the resource are counted: all but those for health, which is told at any time.
func (s *resource) bounded() bool { return !strings.HasPrefix(s.path, "/health/") }

// enter takes a request in flight until leave. For one that publishes it only looks whether there is room: that is in flight when
// its body is there.
func (l *Load) enter(r *http.Request, s *resource) (leave func(), ok bool) {
	g := &l.querying
	switch {
	case s.admin:
		g = &l.administering
	case s.public:
		g = &l.documents
	case r.Method == http.MethodPost:
		return func() {}, !l.publishing.full()
	}
	return func() { g.give(1) }, g.take(1)
}

const (
	// scrapTimeout is how long a request that is refused may take to bring the rest of a short body.
	scrapTimeout = time.Second
	// lingerTimeout is how long what comes of a longer one is thrown away, after the answer.
	lingerTimeout = 5 * time.Second
)

// refuse answers with the problem at once. A short body that comes along with the header is read, so that the connection can be
// used again. The answer waits for no other: it gives the connection up, and only then throws away what still comes, as a
// client that finds the connection broken while it sends may never see the answer.
func (a *api) refuse(w *answer, r *http.Request, send func()) {
	if w.bodyRead || r.Body == nil || r.Body == http.NoBody || r.ProtoMajor != 1 || a.scrapped(w, r) {
		send()
		return
	}
	control := http.NewResponseController(w.ResponseWriter)
	_ = control.EnableFullDuplex()
	w.Header()["Connection"] = closeHeader
	send()
	if control.Flush() != nil || waits(w, r) {
		return
	}
	_ = control.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.CopyN(io.Discard, r.Body, 2*a.MaxBatchBody)
}

// waits says that the client sends the body only when it is told to, and has not been.
func waits(w *answer, r *http.Request) bool { return !w.bodyBegun && r.Header.Get("Expect") != "" }

// scrapped reads a short body to its end.
func (a *api) scrapped(w *answer, r *http.Request) bool {
	if r.ContentLength < 0 || r.ContentLength > bufferSize || waits(w, r) {
		return false
	}
	_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now().Add(scrapTimeout))
	body := newBuffer()
	defer body.free()
	return body.readAll(r.Body, bufferSize) == nil
}
