package rest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// secured is the API for callers who say who they are in the header X-Test: the user, and its scopes.
func secured(t *testing.T, change ...func(*Options)) *service {
	t.Helper()
	return newService(t, append([]func(*Options){func(o *Options) {
		o.Authenticate = func(r *http.Request) (Principal, error) {
			user, scopes, _ := strings.Cut(r.Header.Get("X-Test"), " ")
			switch user {
			case "":
				return Principal{}, domain.ErrUnauthenticated
			case "bad":
				return Principal{}, fmt.Errorf("%w: secret reason", domain.ErrBadCredentials)
			case "away":
				return Principal{}, fmt.Errorf("the issuer: %w", domain.ErrUnavailable)
			}
			return PrincipalOf(application.Caller{ID: user, User: user, Scopes: strings.Fields(scopes)}), nil
		}
	}}, change...)...)
}

func as(user, scopes string) string { return "X-Test: " + user + " " + scopes }

func TestScopes(t *testing.T) {
	p := PrincipalOf(application.Caller{ID: "a", User: "u", Scopes: []string{"openid", "events:read", "admin", "admin"}})
	assert.Equal(t, Principal{ID: "a", User: "u", Scopes: ScopeRead | ScopeAdmin}, p)
	assert.False(t, p.Has(ScopeWrite))
	assert.False(t, Principal{}.Has(ScopeRead))
	for scope, name := range map[Scope]string{ScopeRead: "events:read", ScopeWrite: "events:write", ScopeAdmin: "admin", 0: "", ScopeRead | ScopeWrite: ""} {
		assert.Equal(t, name, scope.String())
	}
}

// TestWhatNeedsAuthentication asks each resource without saying who calls.
func TestWhatNeedsAuthentication(t *testing.T) {
	s := secured(t)
	for path, status := range map[string]int{
		"/api/events": 401, "/api/events/user/u": 401, "/api/events/type/t": 401, "/api/events/" + someID: 401, "/api/events/no-id": 401,
		"/health/live": 200, "/health/ready": 200, "/swagger": 200, "/swagger/": 200, "/swagger/start.js": 200, "/openapi.json": 200, "/openapi.yaml": 200,
		"/nothing": 404,
	} {
		w := s.get(path)
		assert.Equal(t, status, w.StatusCode, path)
		if status == http.StatusUnauthorized {
			assert.Equal(t, `Bearer realm="netstreamflow"`, w.Header.Get("Www-Authenticate"))
		}
	}
	for _, path := range []string{"/api/events", batchPath} {
		assert.Equal(t, http.StatusUnauthorized, s.post(path, smallEvent).StatusCode)
	}
	assert.Equal(t, http.StatusMethodNotAllowed, s.send(http.MethodDelete, "/api/events", "").StatusCode)
	assert.Zero(t, s.log.published())
}

// TestEveryResourceIsGuarded: what is not said to be public needs a scope, whatever is added later.
func TestEveryResourceIsGuarded(t *testing.T) {
	s := secured(t)
	for _, res := range s.api.resources() {
		if !strings.HasPrefix(res.path, "/health/") {
			assert.False(t, res.public, res.path)
		}
	}
	assert.Equal(t, ScopeAdmin, (&resource{admin: true}).needs(http.MethodGet))
	assert.Equal(t, ScopeAdmin, (&resource{admin: true}).needs(http.MethodPost))
	assert.Equal(t, ScopeRead, (&resource{}).needs(http.MethodHead))
	assert.Equal(t, ScopeWrite, (&resource{}).needs(http.MethodDelete))
}

func TestCallersWithScopes(t *testing.T) {
	s := secured(t)
	assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent, as("a", "events:write")).StatusCode)
	assert.Equal(t, http.StatusOK, s.get("/api/events", as("a", "events:read")).StatusCode)
	w := s.get("/api/events", as("a", "events:write"))
	assert.Equal(t, http.StatusForbidden, w.StatusCode)
	assert.Equal(t, `Bearer realm="netstreamflow", error="insufficient_scope", scope="events:read"`, w.Header.Get("Www-Authenticate"))
	assert.Contains(t, decode[problemBody](t, w).Detail, "events:read")
	assert.Contains(t, s.logs.String(), `"caller":"a"`)
	w = s.get("/api/events", as("bad", ""))
	assert.Equal(t, http.StatusUnauthorized, w.StatusCode)
	assert.Contains(t, w.Header.Get("Www-Authenticate"), `error="invalid_token"`)
	assert.NotContains(t, w.body, "secret reason")
	assert.Contains(t, s.logs.String(), "secret reason")
}

func TestKeysAreAway(t *testing.T) {
	s := secured(t)
	for range 2 * failureBurst {
		w := s.post("/api/events", smallEvent, as("away", ""))
		require.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
		require.Contains(t, decode[problemBody](t, w).Detail, "keys")
		require.Equal(t, "1", w.Header.Get("Retry-After"))
	}
}

// bound is the API where each caller has to do with its own events; it holds one of mine and one of yours.
func bound(t *testing.T) (s *service, mine, yours string) {
	t.Helper()
	s = secured(t, func(o *Options) { o.OwnUser = true })
	ids := make([]string, 2)
	for i, user := range []string{"me", "you"} {
		w := s.post("/api/events", `{"userId":"`+user+`","eventType":"t"}`, as(user, "events:write"))
		require.Equal(t, http.StatusAccepted, w.StatusCode, w.body)
		ids[i] = decode[struct{ EventID string }](t, w).EventID
	}
	return s, ids[0], ids[1]
}

func TestOwnEvents(t *testing.T) {
	s, mine, yours := bound(t)
	const own, admin = "me events:read events:write", "root events:read events:write admin"
	for path, want := range map[string]struct{ own, admin int }{
		"/api/events": {1, 2}, "/api/events?userId=me": {1, 1}, "/api/events/user/me": {1, 1}, "/api/events/type/t": {1, 2}, "/api/events/type/other": {0, 0},
		"/api/events?eventType=t&limit=10": {1, 2},
	} {
		assert.Equal(t, want.own, decode[struct{ Count int }](t, s.get(path, "X-Test: "+own)).Count, path)
		assert.Equal(t, want.admin, decode[struct{ Count int }](t, s.get(path, "X-Test: "+admin)).Count, path)
	}
	for _, path := range []string{"/api/events?userId=you", "/api/events/user/you"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			assert.Equal(t, http.StatusForbidden, s.send(method, path, "", "X-Test: "+own).StatusCode, path)
		}
		assert.Equal(t, http.StatusOK, s.get(path, "X-Test: "+admin).StatusCode, path)
	}
	assert.Equal(t, http.StatusOK, s.get("/api/events/"+mine, "X-Test: "+own).StatusCode)
	other, none := s.get("/api/events/"+yours, "X-Test: "+own), s.get("/api/events/"+someID, "X-Test: "+own)
	assert.Equal(t, http.StatusNotFound, other.StatusCode)
	assert.Equal(t, none.body, other.body, "nothing tells that it is there")
	assert.Equal(t, http.StatusNotFound, s.send(http.MethodHead, "/api/events/"+yours, "", "X-Test: "+own).StatusCode)
	assert.Equal(t, http.StatusOK, s.get("/api/events/"+yours, "X-Test: "+admin).StatusCode)
}

func TestOwnEventsArePublished(t *testing.T) {
	s, _, _ := bound(t)
	const me, root = "X-Test: me events:write", "X-Test: root events:write admin"
	mine, yours := `{"userId":"me","eventType":"t"}`, `{"userId":"you","eventType":"t"}`
	w := s.post("/api/events", yours, me)
	assert.Equal(t, http.StatusForbidden, w.StatusCode)
	assert.Equal(t, []string{"/userId"}, decode[problemBody](t, w).pointers())
	assert.Equal(t, http.StatusAccepted, s.post("/api/events", yours, root).StatusCode)

	w = s.post(batchPath, "["+mine+","+yours+`,{"eventType":"t"},`+mine+"]", me)
	assert.Equal(t, http.StatusMultiStatus, w.StatusCode)
	results := decode[problemBody](t, w).Results
	require.Len(t, results, 4)
	assert.NotEmpty(t, results[0].EventID)
	assert.Equal(t, http.StatusForbidden, results[1].Error.Status)
	assert.Equal(t, http.StatusBadRequest, results[2].Error.Status, "what is no event is said as before")
	assert.NotEmpty(t, results[3].EventID)

	before := s.log.published()
	w = s.post(batchPath, "["+yours+","+yours+"]", me)
	assert.Equal(t, http.StatusForbidden, w.StatusCode)
	assert.Len(t, decode[problemBody](t, w).Results, 2)
	assert.Equal(t, http.StatusBadRequest, s.post(batchPath, "["+yours+",{}]", me).StatusCode)
	assert.Equal(t, before, s.log.published())
	assert.Equal(t, http.StatusAccepted, s.post(batchPath, "["+yours+"]", root).StatusCode)
}

func TestAddressOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8::1%eth0]:80": "2001:db8::", "[2001:db8:0:1:2::1]:80": "2001:db8:0:1::",
		"@": "unknown", "": "unknown",
	} {
		assert.Equal(t, want, new(api).address(&http.Request{RemoteAddr: remote}))
	}
}

func TestCORS(t *testing.T) {
	const origin, evil = "https://app.example", "https://evil.example"
	s := secured(t, func(o *Options) { o.Origins = []string{origin, "http://localhost:3000"} })
	preflight := func(from, method, headers string) response {
		r := httptest.NewRequest(http.MethodOptions, "/api/events", nil)
		r.Header.Set("Origin", from)
		r.Header.Set("Access-Control-Request-Method", method)
		r.Header.Set("Access-Control-Request-Headers", headers)
		return s.sendRequest(s, r)
	}
	w := preflight(origin, "POST", "authorization,content-type,idempotency-key,x-api-key")
	assert.Equal(t, http.StatusNoContent, w.StatusCode)
	assert.Equal(t, origin, w.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "POST", w.Header.Get("Access-Control-Allow-Methods"))
	assert.Equal(t, "600", w.Header.Get("Access-Control-Max-Age"))
	assert.Empty(t, w.Header.Get("Access-Control-Allow-Credentials"))
	assert.Contains(t, w.Header.Get("Vary"), "Origin")
	for _, w := range []response{
		preflight(evil, "POST", "authorization"), preflight("null", "POST", "authorization"), preflight(origin+".evil.example", "GET", ""),
		preflight(origin, "PUT", ""), preflight(origin, "POST", "x-other"),
	} {
		assert.Empty(t, w.Header.Get("Access-Control-Allow-Origin"))
	}
	answer := s.get("/api/events", "Origin: "+origin, as("a", "events:read"))
	assert.Equal(t, origin, answer.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, []string{"Origin, Accept"}, answer.Header.Values("Vary"))
	assert.Contains(t, answer.Header.Get("Access-Control-Expose-Headers"), "Next-Cursor")
	refused := s.get("/api/events", "Origin: "+origin)
	assert.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	assert.Equal(t, origin, refused.Header.Get("Access-Control-Allow-Origin"), "the page can see why")
	answer = s.get("/api/events", "Origin: "+evil, as("a", "events:read"))
	assert.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "Origin, Accept-Encoding", strings.Join(s.get("/swagger/swagger-ui.css").Header.Values("Vary"), ", "))
}

func TestCORSForAll(t *testing.T) {
	s := newService(t, func(o *Options) { o.Origins = []string{"*"} })
	w := s.get("/api/events", "Origin: https://any.example")
	assert.Equal(t, "*", w.Header.Get("Access-Control-Allow-Origin"))
	assert.Empty(t, w.Header.Get("Access-Control-Allow-Credentials"))
}

func TestNoCORS(t *testing.T) {
	s := newService(t)
	w := s.get("/api/events", "Origin: https://any.example")
	assert.Empty(t, w.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, []string{"Accept"}, w.Header.Values("Vary"))
	assert.Equal(t, http.StatusMethodNotAllowed, s.send(http.MethodOptions, "/api/events", "", "Origin: https://any.example", "Access-Control-Request-Method: POST").StatusCode)
}

func TestHeadersForBrowsers(t *testing.T) {
	s := newService(t, func(o *Options) { o.HSTS = true })
	w := s.get("/swagger")
	assert.Contains(t, w.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	assert.Equal(t, "no-referrer", w.Header.Get("Referrer-Policy"))
	assert.Empty(t, w.Header.Get("Strict-Transport-Security"), "it came without TLS")
	assert.Contains(t, s.get("/openapi.json").Header.Get("Content-Security-Policy"), "default-src 'none'")
	r := httptest.NewRequest(http.MethodGet, "/api/events", nil)
	r.TLS = &tls.ConnectionState{}
	assert.Equal(t, "max-age=31536000", s.sendRequest(s, r).Header.Get("Strict-Transport-Security"))
	s = newService(t)
	assert.Empty(t, s.sendRequest(s, r).Header.Get("Strict-Transport-Security"))
}

// TestSecurityInTheDocument: the page offers to authorise where that is of use.
func TestSecurityInTheDocument(t *testing.T) {
	type document struct {
		Security []map[string][]string
		Paths    map[string]map[string]json.RawMessage
	}
	require.Contains(t, string(openAPI), securityMark)
	open := newService(t).get("/openapi.json")
	assert.Empty(t, decode[document](t, open).Security)
	assert.NotContains(t, open.body, "securitySchemes")
	s := secured(t)
	d := decode[document](t, s.get("/openapi.json"))
	assert.Equal(t, []map[string][]string{{"token": {}}, {"apiKey": {}}}, d.Security)
	for _, r := range s.api.resources() {
		for method, operation := range d.Paths[r.path] {
			if method == "get" || method == "post" || method == "head" {
				assert.Equal(t, r.public, strings.Contains(strings.ReplaceAll(string(operation), " ", ""), `"security":[]`), "%s %s", method, r.path)
			}
		}
	}
}

// TestSchemesInTheDocument are those that are taken, and no others.
func TestSchemesInTheDocument(t *testing.T) {
	type document struct {
		Security   []map[string][]string
		Components struct{ SecuritySchemes map[string]any }
	}
	for means, name := range map[string]string{application.ByToken: "token", application.ByKey: "apiKey"} {
		s := secured(t, func(o *Options) { o.Means = []string{means} })
		d := decode[document](t, s.get("/openapi.json"))
		assert.Equal(t, []map[string][]string{{name: {}}}, d.Security)
		assert.Len(t, d.Components.SecuritySchemes, 1)
		assert.Contains(t, d.Components.SecuritySchemes, name)
	}
	both := decode[document](t, secured(t).get("/openapi.json"))
	assert.Len(t, both.Components.SecuritySchemes, 2)
}
