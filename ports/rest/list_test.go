package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

type listBody struct {
	UserID, EventType *string
	Events            []struct{ EventID, UserID, EventType, Timestamp string }
	Count             int
	NextCursor        string
}

const asLines = "Accept: application/x-ndjson"

// seed stores n events of two users and three types, a minute apart.
func seed(s *service, n int) {
	s.t.Helper()
	for i := range n {
		s.publish(fmt.Sprintf(`{"userId":"u%d","eventType":"t%d","timestamp":"2026-01-01T00:%02d:00Z","eventId":"%08d-0000-7000-8000-000000000000"}`,
			i%2, i%3, i, i+1))
	}
}

func TestListAnswer(t *testing.T) {
	s := newService(t)
	assert.Equal(t, `{"events":[],"count":0}`, s.get("/api/events").body)
	assert.Equal(t, `{"userId":"nobody","events":[],"count":0}`, s.get("/api/events/user/nobody").body)
	assert.Equal(t, `{"eventType":"nothing","events":[],"count":0}`, s.get("/api/events/type/nothing").body)
	s.publish(`{"eventId":"` + someID + `","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00Z"}`)
	const event = `{"eventId":"` + someID + `","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00Z","metadata":{}}`
	for path, want := range map[string]string{
		"/api/events":           `{"events":[` + event + `],"count":1}`,
		"/api/events/user/u":    `{"userId":"u","events":[` + event + `],"count":1}`,
		"/api/events/type/t":    `{"eventType":"t","events":[` + event + `],"count":1}`,
		"/api/events/" + someID: event,
	} {
		w := s.get(path)
		assert.Equal(t, http.StatusOK, w.StatusCode)
		assert.Equal(t, want, w.body)
		assert.Equal(t, "application/json", w.Header.Get("Content-Type"))
		assert.Equal(t, "no-store", w.Header.Get("Cache-Control"))
	}
}

func TestListSelects(t *testing.T) {
	s := newService(t)
	seed(s, 12)
	tests := map[string]int{
		"/api/events":                           12,
		"/api/events?userId=u1":                 6,
		"/api/events?eventType=t2":              4,
		"/api/events?userId=u1&eventType=t2":    2,
		"/api/events?from=2026-01-01T00:03:00Z": 9,
		"/api/events?to=2026-01-01T00:03:00Z":   3,
		"/api/events?from=2026-01-01T01:03:00%2B01:00&to=2026-01-01T00:04:00Z": 1,
		"/api/events?from=2026-01-01T00:04:00Z&to=2026-01-01T00:03:00Z":        0,
		"/api/events?to=0001-01-01T00:00:00Z":                                  0,
		"/api/events?from=0001-01-01T00:00:00Z":                                12,
		"/api/events/user/u0?from=2026-01-01T00:01:00Z":                        5,
		"/api/events/type/t0?order=desc&limit=3":                               3,
		"/api/events?&&limit=5&":                                               5,
		"/api/events?li%6Dit=5":                                                5,
	}
	for target, want := range tests {
		t.Run(target, func(t *testing.T) {
			s := s.in(t)
			w := s.get(target)
			require.Equal(t, http.StatusOK, w.StatusCode, w.body)
			b := decode[listBody](t, w)
			assert.Equal(t, want, b.Count)
			assert.Len(t, b.Events, want)
			lines := s.get(target, asLines)
			assert.Equal(t, "application/x-ndjson", lines.Header.Get("Content-Type"))
			assert.Equal(t, want, strings.Count(lines.body, "\n"))
			assert.Equal(t, b.NextCursor, lines.Header.Get("Next-Cursor"))
		})
	}
}

func TestListPages(t *testing.T) {
	for _, order := range []string{"", "&order=asc", "&order=desc"} {
		s := newService(t)
		seed(s, 12)
		whole := decode[listBody](t, s.get("/api/events?"+order))
		var got []string
		target := "/api/events?limit=5" + order
		for pages := 1; ; pages++ {
			b := decode[listBody](t, s.get(target))
			assert.Equal(t, len(b.Events), b.Count)
			for _, e := range b.Events {
				got = append(got, e.EventID)
			}
			if b.NextCursor == "" {
				assert.Equal(t, 3, pages)
				break
			}
			target = "/api/events?limit=5" + order + "&cursor=" + url.QueryEscape(b.NextCursor)
		}
		for i, e := range whole.Events {
			assert.Equal(t, e.EventID, got[i])
		}
	}
}

func TestListBadParameters(t *testing.T) {
	tests := map[string][]string{
		"limit=0":                         {"/limit"},
		"limit=10001":                     {"/limit"},
		"limit=-1":                        {"/limit"},
		"limit=%2B1":                      {"/limit"},
		"limit=01":                        {"/limit"},
		"limit=1.0":                       {"/limit"},
		"limit=1e2":                       {"/limit"},
		"limit=":                          {"/limit"},
		"limit":                           {"/limit"},
		"limit=%20 1":                     {"/limit"},
		"limit=99999999999999999999":      {"/limit"},
		"limit=1&limit=1":                 {"/limit"},
		"limit=1&li%6dit=2":               {"/limit"},
		"cursor=":                         {"/cursor"},
		"cursor=nonsense":                 {"/cursor"},
		"order=up":                        {"/order"},
		"order=ASC":                       {"/order"},
		"order=":                          {"/order"},
		"from=yesterday":                  {"/from"},
		"from=":                           {"/from"},
		"to=2026-01-01":                   {"/to"},
		"to=2026-01-01T00:00:00":          {"/to"},
		"from=2026-01-01T00:00:00+01:00":  {"/from"},
		"Limit=1":                         {"/Limit"},
		"a/b~c=1":                         {"/a~1b~0c"},
		"page=1&size=2":                   {"/page", "/size"},
		"limit=0&order=x&from=y&to=z":     {"/limit", "/order", "/from", "/to"},
		"limit=%zz":                       {"/limit"},
		"%zz=1":                           {"/%zz"},
		"limit=1;order=asc":               {"/limit"},
		"%ff=1":                           {"/%ff"},
		"cursor=%ff":                      {"/cursor"},
		"=1":                              {"/"},
		strings.Repeat("x", 3_000) + "=1": nil,
	}
	s := newService(t)
	for query, pointers := range tests {
		for _, path := range []string{"/api/events", "/api/events/user/u", "/api/events/type/t"} {
			t.Run(path+"?"+query[:min(len(query), 40)], func(t *testing.T) {
				s := s.in(t)
				w := s.sendQuery(path, query)
				assert.Equal(t, http.StatusBadRequest, w.StatusCode, w.body)
				assert.Less(t, len(w.body), 2_000)
				var want []string
				for _, p := range pointers {
					want = append(want, "query:"+p)
				}
				if want != nil {
					assert.Equal(t, want, decode[problemBody](t, w).pointers())
				}
				assert.Equal(t, http.StatusBadRequest, s.send(http.MethodHead, path+"?x=1", "").StatusCode)
			})
		}
	}
}

// sendQuery sends a query that need not be a good one.
func (s *service) sendQuery(path, query string) response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://localhost"+path, http.NoBody)
	require.NoError(s.t, err)
	r.URL.RawQuery = query
	return s.sendRequest(&checked{s, s}, r)
}

func TestListFilters(t *testing.T) {
	s := newService(t)
	long := strings.Repeat("x", 257)
	for target, pointer := range map[string]string{
		"/api/events?userId=":               "/userId",
		"/api/events?userId=" + long:        "/userId",
		"/api/events?userId=%00":            "/userId",
		"/api/events?eventType=a%0Ab":       "/eventType",
		"/api/events?eventType=" + long:     "/eventType",
		"/api/events/user/u?userId=u":       "/userId",
		"/api/events/user/u?eventType=t":    "/eventType",
		"/api/events/type/t?eventType=t":    "/eventType",
		"/api/events/type/t?userId=u":       "/userId",
		"/api/events/" + someID + "?x=1":    "/x",
		"/api/events/" + someID + "?limit=": "/limit",
	} {
		w := s.get(target)
		assert.Equal(t, http.StatusBadRequest, w.StatusCode, target)
		assert.Equal(t, []string{"query:" + pointer}, decode[problemBody](t, w).pointers())
	}
	plus := decode[problemBody](t, s.get("/api/events?from=2026-01-01T00:00:00+01:00"))
	assert.Contains(t, plus.Errors[0].Detail, "%2B")
}

func TestPathValues(t *testing.T) {
	users := map[string]string{
		"a%2Fb": "a/b", "a%2fb": "a/b", "%2F": "/", "a%252Fb": "a%2Fb", "%25": "%", "%2525": "%25",
		"..": "..", ".": ".", "%2E%2E": "..", "%2e": ".", "..%2F..%2Fetc": "../../etc", "a+b": "a+b", "a%2Bb": "a+b", "a%20": "a ",
		"%20": " ", "%22": `"`, "'": "'", "%5C": `\`, "%3Fa=b": "?a=b", "%23": "#", "a;b": "a;b", "a=b&c": "a=b&c", "a:b@c,d": "a:b@c,d",
		"%C3%BC%20%C3%B1": "ü ñ", "日本": "日本", "日本%2Fü": "日本/ü", "%E6%97%A5": "日", "%F0%9F%98%80": "😀", "e%CC%81": "e\u0301",
		"batch": "batch", "user": "user", "%61": "a", "{x}": "{x}", "%7Bx%7D": "{x}", "*": "*", "[": "[", "~": "~", "%e2%80%ae": "\u202e",
	}
	for segment, user := range users {
		t.Run(segment, func(t *testing.T) {
			s := newService(t)
			s.publish(string(domain.AppendString([]byte(`{"eventType":"t","userId":`), user)) + "}")
			w := s.get("/api/events/user/" + segment)
			require.Equal(t, http.StatusOK, w.StatusCode)
			b := decode[listBody](t, w)
			assert.Equal(t, user, *b.UserID)
			assert.Equal(t, 1, b.Count)
			assert.Equal(t, user, s.store.lastQuery().UserID)
			assert.Equal(t, http.StatusOK, s.get("/api/events/type/"+segment).StatusCode)
			assert.Equal(t, user, s.store.lastQuery().EventType)
		})
	}
}

func TestBadPathValues(t *testing.T) {
	long := strings.Repeat("%C3%BC", 129)
	s := newService(t)
	for segment, status := range map[string]int{
		"%ff": 400, "a%00b": 400, "%0A": 400, "%7f": 400, "%C2%85": 400, "%ED%A0%80": 400, long: 400, strings.Repeat("x", 257): 400,
		"": 404, "a/b": 404, "a/": 404, "/": 404, "/a": 404,
	} {
		for _, name := range []string{"user", "type"} {
			w := s.get("/api/events/" + name + "/" + segment)
			assert.Equal(t, status, w.StatusCode, segment)
			if status == http.StatusBadRequest {
				pointer := map[string]string{"user": "path:/userId", "type": "path:/eventType"}[name]
				assert.Equal(t, []string{pointer}, decode[problemBody](t, w).pointers())
			}
		}
	}
}

func TestEventByID(t *testing.T) {
	s := newService(t)
	s.publish(`{"eventId":"` + someID + `","userId":"u","eventType":"t"}`)
	for segment, status := range map[string]int{
		someID:                                 200,
		strings.ToUpper(someID):                200,
		strings.ReplaceAll(someID, "-", "%2D"): 200,
		"01920c3e-9f2a-7cc0-8000-5d2c1f0e4b12": 404,
		"00000000-0000-0000-0000-000000000000": 404,
		"x":                                    404,
		"%ff":                                  404,
		"user":                                 404,
		"type":                                 404,
		someID + "%20":                         404,
		someID + "/":                           404,
	} {
		assert.Equal(t, status, s.get("/api/events/"+segment).StatusCode, segment)
	}
}

func TestListAccept(t *testing.T) {
	const lines = "application/x-ndjson"
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "application/json": "application/json", "application/*": "application/json",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "application/json",
		lines:                                        lines,
		"Application/X-NDJSON":                       lines,
		lines + ", */*;q=0.1":                        lines,
		lines + ", */*":                              lines,
		"*/*, application/json;q=1":                  "application/json",
		"application/json;q=0.5, " + lines:           lines,
		"application/json;q=0.5," + lines + ";q=0.4": "application/json",
		"application/json," + lines:                  "application/json",
		lines + ",application/json;q=0":              lines,
		"*/*," + lines + ";q=0":                      "application/json",
		"*/*;q=0.2,application/json;q=0":             lines,
		"application/json; charset=utf-8":            "application/json",
		"text/html":                                  "",
		"application/json;q=0":                       "",
		"application/problem+json":                   "",
		"nonsense":                                   "",
		"*/*;q=0":                                    "",
	} {
		t.Run(accept, func(t *testing.T) {
			s := newService(t)
			w := s.get("/api/events", "Accept: "+accept)
			assert.Equal(t, "Accept", w.Header.Get("Vary"))
			if want == "" {
				assert.Equal(t, http.StatusNotAcceptable, w.StatusCode)
				return
			}
			assert.Equal(t, http.StatusOK, w.StatusCode)
			assert.Equal(t, want, w.Header.Get("Content-Type"))
		})
	}
	s := newService(t)
	assert.Equal(t, lines, s.get("/api/events", "Accept: text/html", asLines).Header.Get("Content-Type"), "two headers")
}

func TestListFailsBeforeTheFirstByte(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
	}{
		"unavailable": {fmt.Errorf("%w: pq: relation events", domain.ErrUnavailable), 503},
		"a time-out":  {fmt.Errorf("pq: relation events: %w", context.DeadlineExceeded), 503},
		"unknown":     {errors.New("pq: relation events"), 500},
	}
	for name, test := range tests {
		for _, after := range []int{0, 3} {
			t.Run(fmt.Sprint(name, " after ", after), func(t *testing.T) {
				s := newService(t)
				s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
					for range after {
						if err := yield([]byte(`{}`)); err != nil {
							return "", err
						}
					}
					return "", test.err
				}
				for _, headers := range [][]string{nil, {asLines}} {
					w := s.get("/api/events", headers...)
					assert.Equal(t, test.status, w.StatusCode)
					assert.NotContains(t, w.body, "relation")
					assert.Contains(t, s.logs.String(), "relation")
				}
				assert.Equal(t, test.status, s.send(http.MethodHead, "/api/events", "").StatusCode)
			})
		}
	}
	s := newService(t)
	s.store.fail = domain.ErrUnavailable
	assert.Equal(t, 503, s.get("/api/events/"+someID).StatusCode)
}

func TestHead(t *testing.T) {
	s := newService(t)
	seed(s, 12)
	for _, target := range []string{
		"/api/events", "/api/events?limit=2", "/api/events/user/u0", "/api/events/type/t0", "/api/events/00000001-0000-7000-8000-000000000000",
		"/api/events/x", "/api/events?x=1", "/api/events?cursor=nonsense", "/health/live", "/health/ready", "/swagger", "/swagger/",
		"/swagger/start.js", "/swagger/swagger-ui.css", "/swagger/x", "/openapi.json", "/openapi.yaml", "/x",
	} {
		for _, header := range []string{asLines, "Accept: */*", "Accept: text/html"} {
			head, get := s.send(http.MethodHead, target, "", header), s.get(target, header)
			assert.Equal(t, get.StatusCode, head.StatusCode, target)
			for _, name := range []string{"Content-Type", "Vary", "Etag", "Cache-Control"} {
				assert.Equal(t, get.Header.Get(name), head.Header.Get(name), target)
			}
		}
	}
	s.send(http.MethodHead, "/api/events", "")
	assert.Equal(t, 1, s.store.lastQuery().Limit, "a HEAD does not read every event")
}
