// Package admin is the HTTP port for those who run the service: its metrics, its health, its build and its profiles. It knows
// no callers, so that its listener must not be reachable for others.
package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = time.Minute
	// answerTimeout is longer than the longest profile.
	answerTimeout = longestProfile + 30*time.Second
	maxHeader     = 16 << 10
)

// Options say what is served.
type Options struct {
	// Metrics answers at /metrics, Health at /health/live and /health/ready.
	Metrics, Health http.Handler
	// IsLocal has only requests answered for whose Host header it holds, without the port: a page in a browser that has had its
	// own name resolve to this machine does not name this machine. nil has all answered.
	IsLocal func(host string) bool
}

// NewServer returns a server for the admin listener, with time-outs. The context of what it runs, such as a profile, ends
// with base.
func NewServer(base context.Context, o Options) *http.Server {
	return &http.Server{
		Handler:           NewHandler(o),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
}

const index = `netstreamflow, for those who run it:

/metrics                      metrics for Prometheus
/health/live, /health/ready   the state of each part
/buildinfo                    what this program was built from
/debug/pprof/                 profiles, for go tool pprof
`

// NewHandler returns the handler of the admin listener.
func NewHandler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Metrics)
	mux.Handle("GET /health/live", o.Health)
	mux.Handle("GET /health/ready", o.Health)
	mux.HandleFunc("GET /buildinfo", func(w http.ResponseWriter, _ *http.Request) { sendText(w, buildInfo()) })
	mux.HandleFunc("GET /debug/pprof/{$}", func(w http.ResponseWriter, _ *http.Request) { sendText(w, listProfiles()) })
	mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { sendText(w, index) })
	if o.IsLocal == nil {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.IsLocal(hostOf(r)) {
			http.Error(w, "this listener answers only to the names of this machine itself, such as 127.0.0.1", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func sendText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) // the client that is gone is the only error
}

func buildInfo() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "this program was built without information on its build\n"
	}
	return info.String()
}

// hostOf is the Host header's name or address.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return strings.Trim(r.Host, "[]")
}
