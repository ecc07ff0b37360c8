package netstreamflow

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/adapters/limit"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// bounds are what refuses work, which a scrape reads.
type bounds struct {
	load  *rest.Load
	guard *store.Guard
	// limiter is nil where this process keeps the rate limits itself.
	limiter *limit.Redis
}

func newBounds(l *rest.Load, g *store.Guard, r *limit.Redis) bounds { return bounds{l, g, r} }

var (
	descLoad            = desc("load_in_use", "What is in use of a bound of the load: requests that publish, that read, of administration and of documents, open connections.", labelBound)
	descLoadLimit       = desc("load_limit", "The bounds of the load.", labelBound)
	descLoadRefused     = desc("load_refused_total", "Requests and connections that were above a bound of the load.", labelBound)
	descBodies          = desc("load_body_bytes", "Bytes that bodies in flight take, without the first 32 KiB of each over HTTP/1.1.")
	descBodiesLimit     = desc("load_body_limit_bytes", "Bytes that they may take.")
	descBodiesRefused   = desc("load_refused_bodies_total", "Bodies for which those bytes did not suffice.")
	descLimited         = desc("limiter_limited_requests_total", "Requests above the rate limit of their caller.")
	descUncounted       = desc("limiter_uncounted_requests_total", "Requests that could not be counted, as the store of the rate limits was away.")
	descLimiterOpen     = desc("limiter_breaker_open", "Whether the circuit breaker of the Redis of the rate limits, if there is one, is open: it is left alone, or would be tried, and the last try failed within 30 s or it does not answer: 1 or 0.")
	descQueries         = desc("store_queries", "Queries that wait for their first event, and those without limit that are under way.", labelBound)
	descQueryLimit      = desc("store_queries_limit", "The bounds of queries.", labelBound)
	descQueryRefused    = desc("store_refused_queries_total", "Queries that were refused: above a bound, or by the circuit breaker.", labelReason)
	descQueryRetries    = desc("store_query_retries_total", "How often a query was tried again.")
	descQueryTimeouts   = desc("store_query_timeouts_total", "Queries that took too long.")
	descStoreOpen       = desc("store_breaker_open", "Whether the circuit breaker of the store is open: it refuses queries, or would try one, and the last failed within 30 s or the store does not answer: 1 or 0.")
	descriptionsOfBound = []*prometheus.Desc{
		descLoad, descLoadLimit, descLoadRefused, descBodies, descBodiesLimit, descBodiesRefused, descLimited, descUncounted, descLimiterOpen, descQueries, descQueryLimit,
		descQueryRefused, descQueryRetries, descQueryTimeouts, descStoreOpen,
	}
)

const (
	boundPublish     = "publish_requests"
	boundRead        = "read_requests"
	boundAdmin       = "admin_requests"
	boundDocuments   = "document_requests"
	boundConnections = "connections"
)

func (b bounds) collect(to emitter, answers answering) {
	s := b.load.State()
	for bound, use := range map[string][2]float64{
		boundPublish:     {float64(s.Publishing), float64(s.Bounds.Requests)},
		boundRead:        {float64(s.Querying), float64(s.Bounds.Requests)},
		boundAdmin:       {float64(s.Administering), float64(s.MaxAdministering)},
		boundDocuments:   {float64(s.Documents), float64(s.Bounds.Requests)},
		boundConnections: {float64(s.Connections), float64(s.Bounds.Connections)},
	} {
		to.gauge(descLoad, use[0], bound)
		to.gauge(descLoadLimit, use[1], bound)
	}
	to.counter(descLoadRefused, s.RefusedPublishing, boundPublish)
	to.counter(descLoadRefused, s.RefusedQuerying, boundRead)
	to.counter(descLoadRefused, s.RefusedAdministering, boundAdmin)
	to.counter(descLoadRefused, s.RefusedDocuments, boundDocuments)
	to.counter(descLoadRefused, s.RefusedConnections, boundConnections)
	to.gauge(descBodies, float64(s.Bodies))
	to.gauge(descBodiesLimit, float64(s.Bounds.Bodies))
	to.counter(descBodiesRefused, s.RefusedBodies)
	to.counter(descLimited, s.Limited)
	to.counter(descUncounted, s.Uncounted)
	var limiter circuit.State
	if b.limiter != nil {
		limiter = b.limiter.State()
	}
	to.gauge(descLimiterOpen, number(isOpen(limiter, answers.limiter)))
	to.transitions("limiter", limiter.Transitions)
	b.collectQueries(to, answers.store)
}

func (b bounds) collectQueries(to emitter, answers bool) {
	g := b.guard.State()
	to.gauge(descQueries, float64(g.Waiting), "waiting")
	to.gauge(descQueryLimit, float64(g.MaxWaiting), "waiting")
	to.gauge(descQueries, float64(g.Streaming), "streaming")
	to.gauge(descQueryLimit, float64(g.MaxStreaming), "streaming")
	to.counter(descQueryRefused, g.Overloads, "overload")
	to.counter(descQueryRefused, g.Refused, "refused")
	to.counter(descQueryRetries, g.Retried)
	to.counter(descQueryTimeouts, g.TimedOut)
	to.gauge(descStoreOpen, number(isOpen(g.Breaker, answers)))
	to.transitions("queries", g.Breaker.Transitions)
}
