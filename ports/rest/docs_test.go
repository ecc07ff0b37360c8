package rest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenAPIDocuments(t *testing.T) {
	s := newService(t)
	asJSON, asYAML := s.get("/openapi.json"), s.get("/openapi.yaml")
	assert.Equal(t, "application/json", asJSON.Header.Get("Content-Type"))
	assert.Equal(t, "application/yaml", asYAML.Header.Get("Content-Type"))
	fromJSON := decode[map[string]any](t, asJSON)
	assert.Equal(t, "3.1.0", fromJSON["openapi"])
	assert.Equal(t, "1.2.3", fromJSON["info"].(map[string]any)["version"])
	var fromYAML map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(asYAML.body), &fromYAML))
	again, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	assert.JSONEq(t, asJSON.body, string(again))
	assert.Less(t, strings.Index(asJSON.body, `"/api/events"`), strings.Index(asJSON.body, `"/health/live"`), "in the order of the source")
}

func TestOddVersions(t *testing.T) {
	for _, version := range []string{`v1.0.0-rc.1+a"b\c`, "ü", "1.0", "true", "(devel): x"} {
		s := newService(t, func(o *Options) { o.Version = version })
		info := decode[struct{ Info struct{ Version string } }](t, s.get("/openapi.json")).Info
		assert.Equal(t, version, info.Version)
	}
}

func TestDocumentsAreCached(t *testing.T) {
	s := newService(t)
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/swagger", "/swagger/", "/swagger/swagger-ui.css", "/swagger/start.js"} {
		w := s.get(path)
		tag := w.Header.Get("Etag")
		require.NotEmpty(t, tag)
		assert.Equal(t, "no-cache", w.Header.Get("Cache-Control"))
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			w = s.get(path, "If-None-Match: "+known)
			assert.Equal(t, http.StatusNotModified, w.StatusCode)
			assert.Equal(t, tag, w.Header.Get("Etag"))
			assert.Empty(t, w.body)
		}
		assert.Equal(t, http.StatusOK, s.get(path, `If-None-Match: "x"`).StatusCode)
		assert.Equal(t, http.StatusOK, s.get(path, "Range: bytes=0-1").StatusCode)
	}
}

var link = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// TestSwaggerPage follows what the page loads: all of it is here, and its policy allows it.
func TestSwaggerPage(t *testing.T) {
	s := newService(t)
	for _, path := range []string{"/swagger", "/swagger/"} {
		w := s.get(path)
		assert.Equal(t, http.StatusOK, w.StatusCode)
		assert.Equal(t, "text/html; charset=utf-8", w.Header.Get("Content-Type"))
		assert.Contains(t, w.Header.Get("Content-Security-Policy"), "script-src 'self';")
		assert.NotContains(t, w.body, "<script>", "the policy forbids scripts in the page")
		assert.NotContains(t, w.body, "://", "everything comes from here")
		links := link.FindAllStringSubmatch(w.body, -1)
		assert.Len(t, links, 6)
		for _, l := range links {
			assert.Equal(t, http.StatusOK, s.get(l[1]).StatusCode, l[1])
		}
	}
	assert.Contains(t, s.get("/swagger/start.js").body, "/openapi.json")
}

func TestSwaggerAssets(t *testing.T) {
	s := newService(t)
	model, err := openAPIModel()
	require.NoError(t, err)
	var documented, served []string
	for _, node := range model.Paths.PathItems.GetOrZero("/swagger/{asset}").Parameters[0].Schema.Schema().Enum {
		documented = append(documented, node.Value)
	}
	docs, err := newDocs("x", nil)
	require.NoError(t, err)
	for name := range docs.assets {
		served = append(served, name)
	}
	slices.Sort(served)
	assert.Equal(t, documented, served)
	for _, name := range served {
		plain := s.get("/swagger/" + name)
		packed := s.get("/swagger/"+name, "Accept-Encoding: br, gzip")
		refused := s.get("/swagger/"+name, "Accept-Encoding: gzip;q=0")
		assert.Equal(t, plain.body, refused.body)
		assert.Empty(t, plain.Header.Get("Content-Encoding"))
		if packed.Header.Get("Content-Encoding") == "" {
			assert.Equal(t, plain.body, packed.body)
			continue
		}
		assert.Equal(t, "Accept-Encoding", packed.Header.Get("Vary"))
		assert.NotEqual(t, plain.Header.Get("Etag"), packed.Header.Get("Etag"))
		z, err := gzip.NewReader(bytes.NewReader([]byte(packed.body)))
		require.NoError(t, err)
		unpacked, err := io.ReadAll(z)
		require.NoError(t, err)
		assert.Equal(t, plain.body, string(unpacked))
	}
}

// TestDocumentsAreUnpackedOnce has clients that do not take gzip cost no memory of their own.
func TestDocumentsAreUnpackedOnce(t *testing.T) {
	s := newService(t)
	ask := func() {
		r := httptest.NewRequest(http.MethodGet, "/swagger/swagger-ui-bundle.js", http.NoBody)
		s.api.ServeHTTP(unread{http.Header{}, nil}, r)
	}
	ask()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		ask()
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// unread is an answer that nobody keeps, and that waits for the gate if there is one.
type unread struct {
	header http.Header
	gate   chan struct{}
}

func (u unread) Header() http.Header { return u.header }
func (u unread) WriteHeader(int)     {}
func (u unread) Write(b []byte) (int, error) {
	if u.gate != nil {
		<-u.gate
	}
	return len(b), nil
}
