package netstreamflow

import (
	"github.com/prometheus/client_golang/prometheus"

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
	descLoad            = desc("load_in_use", "What is in use of a bound of the load: requests that publish, that read and of administration, bytes of large bodies, open connections.", labelBound)
	descLoadLimit       = desc("load_limit", "The bounds of the load.", labelBound)
	descLoadRefused     = desc("load_refused_total", "What was above a bound of the load.", labelBound)
	descLimited         = desc("limiter_limited_requests_total", "Requests above the rate limit of their caller.")
	descUncounted       = desc("limiter_uncounted_requests_total", "Requests that could not be counted, as the store of the rate limits was away.")
	descLimiterOpen     = desc("limiter_breaker_open", "Whether the Redis of the rate limits, if there is one, is left alone, as it is away: 1 or 0.")
	descQueries         = desc("store_queries", "Queries that wait for their first event, and those without limit that are under way.", labelBound)
	descQueryLimit      = desc("store_queries_limit", "The bounds of queries.", labelBound)
	descQueryRefused    = desc("store_refused_queries_total", "Queries that were refused: above a bound, or by the circuit breaker.", labelReason)
	descQueryRetries    = desc("store_query_retries_total", "How often a query was tried again.")
	descQueryTimeouts   = desc("store_query_timeouts_total", "Queries that took too long.")
	descStoreOpen       = desc("store_breaker_open", "Whether queries are refused, as the store is away: 1 or 0.")
	descriptionsOfBound = []*prometheus.Desc{
		descLoad, descLoadLimit, descLoadRefused, descLimited, descUncounted, descLimiterOpen, descQueries, descQueryLimit,
		descQueryRefused, descQueryRetries, descQueryTimeouts, descStoreOpen,
	}
)

const (
	boundPublish     = "publish_requests"
	boundRead        = "read_requests"
	boundAdmin       = "admin_requests"
	boundBodies      = "body_bytes"
	boundConnections = "connections"
)

func (b bounds) collect(to emitter) {
	s := b.load.State()
	for bound, use := range map[string][2]float64{
		boundPublish:     {float64(s.Publishing), float64(s.Bounds.Requests)},
		boundRead:        {float64(s.Querying), float64(s.Bounds.Requests)},
		boundAdmin:       {float64(s.Administering), float64(s.MaxAdministering)},
		boundBodies:      {float64(s.Bodies), float64(s.Bounds.Bodies)},
		boundConnections: {float64(s.Connections), float64(s.Bounds.Connections)},
	} {
		to.gauge(descLoad, use[0], bound)
		to.gauge(descLoadLimit, use[1], bound)
	}
	to.counter(descLoadRefused, s.RefusedPublishing, boundPublish)
	to.counter(descLoadRefused, s.RefusedQuerying, boundRead)
	to.counter(descLoadRefused, s.RefusedAdministering, boundAdmin)
	to.counter(descLoadRefused, s.RefusedBodies, boundBodies)
	to.counter(descLoadRefused, s.RefusedConnections, boundConnections)
	to.counter(descLimited, s.Limited)
	to.counter(descUncounted, s.Uncounted)
	to.gauge(descLimiterOpen, number(b.limiter != nil && b.limiter.State().Open))
	b.collectQueries(to)
}

func (b bounds) collectQueries(to emitter) {
	g := b.guard.State()
	to.gauge(descQueries, float64(g.Waiting), "waiting")
	to.gauge(descQueryLimit, float64(g.MaxWaiting), "waiting")
	to.gauge(descQueries, float64(g.Streaming), "streaming")
	to.gauge(descQueryLimit, float64(g.MaxStreaming), "streaming")
	to.counter(descQueryRefused, g.Overloads, "overload")
	to.counter(descQueryRefused, g.Refused, "refused")
	to.counter(descQueryRetries, g.Retried)
	to.counter(descQueryTimeouts, g.TimedOut)
	to.gauge(descStoreOpen, number(g.Breaker.Open))
}
