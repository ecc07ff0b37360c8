package rest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/netstreamflow/netstreamflow/adapters/limit"
	"github.com/netstreamflow/netstreamflow/application"
)

// TestLimitsAreByPrincipal has two callers at one address, who do not share, and strangers, who take nothing of theirs.
func TestLimitsAreByPrincipal(t *testing.T) {
	s := secured(t, func(o *Options) {
		o.Limits.Query = limit.NewMemory(application.Quota{Units: 2, Window: time.Hour})
	})
	for range 5 {
		assert.Equal(t, http.StatusUnauthorized, s.get("/api/events").StatusCode)
		assert.Equal(t, http.StatusForbidden, s.get("/api/events", as("a", "events:write")).StatusCode)
	}
	for _, user := range []string{"a", "b"} {
		for _, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
			assert.Equal(t, want, s.get("/api/events", as(user, "events:read")).StatusCode)
		}
	}
}

// TestGuessesThroughAProxy has a client behind a trusted proxy try keys: it locks out itself, and not the proxy.
func TestGuessesThroughAProxy(t *testing.T) {
	s := secured(t, func(o *Options) { o.TrustedProxies = prefixes("192.0.2.0/24") }) // that of httptest's requests
	for range failureBurst + 1 {
		s.get("/api/events", "X-Test: bad", "X-Forwarded-For: 198.51.100.1")
	}
	assert.Equal(t, http.StatusTooManyRequests, s.get("/api/events", as("a", "events:read"), "X-Forwarded-For: 198.51.100.1").StatusCode)
	assert.Equal(t, http.StatusOK, s.get("/api/events", as("a", "events:read"), "X-Forwarded-For: 198.51.100.2").StatusCode)
}
