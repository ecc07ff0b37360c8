package rest

import (
	"net/http"

	"github.com/rs/cors"
)

// preflightAge is how many seconds a browser may remember what it may send.
const preflightAge = 600

// newCORS lets pages of the origins call, without cookies: this API has none. nil, for no origin, lets none.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{
			"Accept", "Authorization", "Content-Type", "If-None-Match", "Idempotency-Key", "Traceparent", "Tracestate", "X-Api-Key",
		},
		ExposedHeaders: []string{
			"ETag", "Location", "Netstreamflow-Durability", "Next-Cursor", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate",
		},
		MaxAge: preflightAge,
	})
}

// checkOrigin refuses what a page of another site has a browser send that may not call. It is for requests without a body, which
// need no permission beforehand: a body's media type would do.
func (a *api) checkOrigin(r *http.Request) error {
	if a.cors != nil && a.cors.OriginAllowed(r) {
		return nil
	}
	if new(http.CrossOriginProtection).Check(r) != nil {
		return newProblem(forbidden, "a page of another site may not do this")
	}
	return nil
}
