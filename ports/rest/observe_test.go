package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

type observerKey struct{}

// observer notes what it is told.
type observer struct {
	mu    sync.Mutex
	begun int
	seen  []Observation
	// same says that each end came with the context of its begin.
	same bool
}

func (o *observer) Begin(r *http.Request) *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun++
	return r.WithContext(context.WithValue(r.Context(), observerKey{}, o))
}

func (o *observer) End(ctx context.Context, seen Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.same = ctx.Value(observerKey{}) == o
	o.seen = append(o.seen, seen)
}

// TestObserver is told of each request once, whatever becomes of it.
func TestObserver(t *testing.T) {
	o := &observer{}
	panics := func(ctx context.Context) []Part {
		if ctx.Value(observerKey{}) != o {
			t.Error("a handler has not the observer's context")
		}
		panic("on purpose")
	}
	s := newService(t, func(options *Options) { options.Observer, options.Ready = o, panics })
	for _, tt := range []struct {
		method, path, body string
		want               Observation
	}{
		{"POST", "/api/events", `{"userId":"u","eventType":"t"}`, Observation{Route: "/api/events", Status: 202}},
		{"POST", "/api/events", `{`, Observation{Route: "/api/events", Status: 400}},
		{"GET", "/api/events/user/a%2Fb", "", Observation{Route: "/api/events/user/{userId}", Status: 200}},
		{"HEAD", "/api/events", "", Observation{Route: "/api/events", Status: 200}},
		{"GET", "/nothing", "", Observation{Status: 404}},
		{"PUT", "/api/events", "", Observation{Route: "/api/events", Status: 405}},
		{"GET", "/swagger", "", Observation{Route: "/swagger", Status: 200}},
		{"GET", "/health/ready", "", Observation{Route: "/health/ready", Status: 500}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		s.api.ServeHTTP(httptest.NewRecorder(), r)
		tt.want.Method = tt.method
		require.NotEmpty(t, o.seen)
		got := o.seen[len(o.seen)-1]
		require.Positive(t, got.Took)
		got.Took = 0
		require.Equal(t, tt.want, got)
		require.True(t, o.same)
		require.Len(t, o.seen, o.begun)
	}
}
