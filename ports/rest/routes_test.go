package rest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var everyMethod = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	http.MethodTrace, http.MethodConnect, "PURGE",
}

// TestRoutesAreTheDocument holds the routes against the document, both ways.
func TestRoutesAreTheDocument(t *testing.T) {
	s := newService(t)
	var routed, documented []string
	err := s.api.router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		for _, method := range everyMethod {
			if route.GetHandler().(*resource).handler(method) != nil {
				routed = append(routed, method+" "+path)
			}
		}
		return err
	})
	require.NoError(t, err)
	model, err := openAPIModel()
	require.NoError(t, err)
	for path, item := range model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	assert.ElementsMatch(t, documented, routed)
	assert.Greater(t, len(routed), 20)
}

func TestWrongMethods(t *testing.T) {
	s := newService(t)
	for path, allow := range map[string]string{
		"/api/events": "GET, HEAD, POST", batchPath: "POST", "/api/events/user/u": "GET, HEAD", "/api/events/type/t": "GET, HEAD",
		"/api/events/" + someID: "GET, HEAD", "/health/live": "GET, HEAD", "/health/ready": "GET, HEAD", "/swagger": "GET, HEAD",
		lettersPath: "GET, HEAD", lettersPath + "/0-1": "GET, HEAD, DELETE", lettersPath + "/0-1/requeue": "POST",
		lettersPath + "/requeue": "POST", "/api/admin/broker": "GET, HEAD", "/api/admin/messages": "GET, HEAD",
		"/swagger/": "GET, HEAD", "/swagger/start.js": "GET, HEAD", "/openapi.json": "GET, HEAD", "/openapi.yaml": "GET, HEAD",
	} {
		for _, method := range everyMethod {
			if slices.Contains(strings.Split(allow, ", "), method) {
				continue
			}
			if method == http.MethodHead { // no body to check
				continue
			}
			w := s.send(method, path, "")
			assert.Equal(t, http.StatusMethodNotAllowed, w.StatusCode, method+" "+path)
			assert.Equal(t, allow, w.Header.Get("Allow"), method+" "+path)
		}
	}
	assert.Equal(t, http.StatusMethodNotAllowed, s.send(http.MethodHead, batchPath, "").StatusCode)
}

func TestUnknownPaths(t *testing.T) {
	s := newService(t)
	for _, path := range []string{
		"/", "/api", "/api/", "/api/events/", "/api/events/user/", "/api/events/user/a/b", "/api/event", "/health", "/healthz",
		"/swagger/x", "/swagger/a/b", "/openapi", "/openapi.yml", "/metrics", "/debug/pprof/",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions} {
			w := s.send(method, path, "")
			if path == "/swagger/x" && method != http.MethodGet {
				assert.Equal(t, http.StatusMethodNotAllowed, w.StatusCode)
				continue
			}
			assert.Equal(t, http.StatusNotFound, w.StatusCode, path)
			assert.Equal(t, typePrefix+"not-found", decode[problemBody](t, w).Type)
		}
	}
}

// TestExamplesAreAccepted sends the request examples of the document.
func TestExamplesAreAccepted(t *testing.T) {
	s := newService(t)
	var doc struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct {
						Example  json.RawMessage
						Examples map[string]struct{ Value json.RawMessage }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(s.get("/openapi.json").body), &doc))
	sent := 0
	for path, item := range doc.Paths {
		for _, media := range item.Post.RequestBody.Content {
			all := []json.RawMessage{media.Example}
			for _, e := range media.Examples {
				all = append(all, e.Value)
			}
			for _, body := range all {
				if body != nil {
					sent++
					assert.Equal(t, http.StatusAccepted, s.post(path, string(body)).StatusCode, string(body))
				}
			}
		}
	}
	assert.Equal(t, 3, sent)
}
