// Package extras runs a service with all that it can do beside its work, for programs that compare it with one that does not.
package extras

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/application"
)

// Extras has a service know its callers, limit them, listen for TLS too, and tell of metrics and traces.
type Extras struct {
	// Key is the API key that the service knows.
	Key string
	// Flags and Environ are for the service.
	Flags, Environ []string

	folder    string
	collector *httptest.Server
	// exports counts what the collector of traces got.
	exports atomic.Int64
}

// New makes a key, starts a collector of traces, and has the requests of [http.DefaultTransport] carry the key from now on. The
// limits of callers are above what any load does, and shared through the Redis of the URL, unless it is empty. Its Close must be
// called.
func New(redis string) (*Extras, error) {
	folder, err := os.MkdirTemp("", "extras-")
	if err != nil {
		return nil, err
	}
	key, entry, err := netstreamflow.NewAPIKey(netstreamflow.APIKey{
		Name: "load", Scopes: []string{application.ScopeRead, application.ScopeWrite, application.ScopeAdmin},
	})
	if err != nil {
		return nil, fmt.Errorf("make an API key: %w", err)
	}
	keys := filepath.Join(folder, "keys.yaml")
	if err := os.WriteFile(keys, []byte(entry), 0o600); err != nil {
		return nil, err
	}
	e := &Extras{folder: folder, Key: key}
	e.collector = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { e.exports.Add(1) }))
	e.Flags = []string{
		"--auth", "api-key", "--api-keys", keys, "--listen-tls", "127.0.0.1:0", "--tls-self-signed",
		"--rate-limit-publish", "1000000/s", "--rate-limit-read", "1000000/s", "--admin-listen", "127.0.0.1:0",
	}
	if redis != "" {
		e.Flags = append(e.Flags, "--rate-limit-store", redis)
	}
	e.Environ = []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT=" + e.collector.URL,
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1",
	}
	http.DefaultTransport = Bearer{key, http.DefaultTransport}
	return e, nil
}

// Check says what of it was not in use.
func (e *Extras) Check() error {
	if e.exports.Load() == 0 {
		return errors.New("the service has exported no traces")
	}
	return nil
}

// Close ends the collector and removes the key.
func (e *Extras) Close() error {
	e.collector.Close()
	return os.RemoveAll(e.folder)
}

// Bearer shows the key with each request.
type Bearer struct {
	Key  string
	Next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b Bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.Key)
	return b.Next.RoundTrip(r)
}
