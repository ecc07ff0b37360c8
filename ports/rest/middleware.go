package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
)

// ServeHTTP does what every request needs, also one that no route matches, before it is routed.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ans := &answer{ResponseWriter: w, head: r.Method == http.MethodHead, deadlines: &a.Load.deadlines, ending: &a.Load.ending}
	if a.Observer != nil {
		start := time.Now()
		r = a.Observer.Begin(r)
		defer a.observe(r, ans, start) // behind recover, which may answer
	}
	defer a.recover(ans, r)
	h := ans.Header()
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
	if a.HSTS && r.TLS != nil {
		h["Strict-Transport-Security"] = onlyTLS
	}
	if r.Body != nil && r.Body != http.NoBody {
		// net/http reads what a handler left of the body: that must end too.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.BodyTimeout))
	}
	if ctx := r.Context(); a.Logger.Enabled(ctx, slog.LevelDebug) {
		defer a.logRequest(ctx, time.Now(), ans, r)
	}
	if a.cors != nil {
		a.cors.ServeHTTP(ans, normalised(r), a.router.ServeHTTP)
		return
	}
	a.router.ServeHTTP(ans, normalised(r))
}

func (a *api) logRequest(ctx context.Context, start time.Time, w *answer, r *http.Request) {
	a.Logger.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.EscapedPath(), "status", w.status,
		"took", time.Since(start))
}

// recover turns a panic into an answer, or cuts off the one that has begun.
func (a *api) recover(w *answer, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // a panic's value, and net/http compares it so, too
		panic(cause)
	}
	a.Logger.ErrorContext(r.Context(), "a handler panicked", "method", r.Method, "path", r.URL.EscapedPath(),
		"cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header()["Connection"] = closeHeader
	a.fail(w, r, newProblem(internal, ""))
}

// normalised returns the request with its path in the one spelling that routes are matched against. Clients may escape
// what needs no escape (%61 is a), or leave unescaped what does (raw UTF-8): net/url forgets how the path was sent when it
// holds the latter, and an escaped slash with it.
func normalised(r *http.Request) *http.Request {
	if r.URL.RawPath == "" {
		return r
	}
	segments := strings.Split(r.URL.RawPath, "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = url.PathEscape(plain)
		}
	}
	u := *r.URL
	u.RawPath = strings.Join(segments, "/")
	copied := r.WithContext(r.Context())
	copied.URL = &u
	return copied
}
