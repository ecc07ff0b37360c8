package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/application"
)

// extras is what the service can do beside its work: it knows its callers, limits them, listens for TLS too, and tells of
// metrics and traces.
type extras struct {
	folder, key    string
	flags, environ []string
	collector      *httptest.Server
	// exports counts what the collector of traces got.
	exports atomic.Int64
}

// newExtras has all requests of this process carry an API key that the service knows. The limits of callers are above what
// the load does, and shared through Redis if there is one.
func newExtras(redis string) (*extras, error) {
	folder, err := os.MkdirTemp("", "faults-keys-")
	if err != nil {
		return nil, err
	}
	key, entry, err := netstreamflow.NewAPIKey(netstreamflow.APIKey{
		Name: "faults", Scopes: []string{application.ScopeRead, application.ScopeWrite, application.ScopeAdmin},
	})
	if err != nil {
		return nil, fmt.Errorf("make an API key: %w", err)
	}
	keys := filepath.Join(folder, "keys.yaml")
	if err := os.WriteFile(keys, []byte(entry), 0o600); err != nil {
		return nil, err
	}
	e := &extras{folder: folder, key: key}
	e.collector = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { e.exports.Add(1) }))
	e.flags = []string{
		"--auth", "api-key", "--api-keys", keys, "--listen-tls", "127.0.0.1:0", "--tls-self-signed",
		"--rate-limit-publish", "1000000/s", "--rate-limit-read", "1000000/s", "--admin-listen", "127.0.0.1:0",
	}
	if redis != "" {
		e.flags = append(e.flags, "--rate-limit-store", redis)
	}
	e.environ = []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT=" + e.collector.URL,
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1",
	}
	http.DefaultTransport = bearer{key, http.DefaultTransport}
	return e, nil
}

// check says what of it was not in use.
func (e *extras) check() error {
	if e.exports.Load() == 0 {
		return fmt.Errorf("the service has exported no traces")
	}
	return nil
}

func (e *extras) remove() error {
	e.collector.Close()
	return os.RemoveAll(e.folder)
}

// bearer shows the key with each request.
type bearer struct {
	key  string
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.key)
	return b.next.RoundTrip(r)
}
