package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/responses"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
)

// service is the API on fakes. Every answer that a test sees has been held against the OpenAPI document.
type service struct {
	t     *testing.T
	api   *api
	log   *fakeLog
	store *fakeStore
	logs  *logBuffer
}

func newService(t *testing.T, change ...func(*Options)) *service {
	t.Helper()
	store := &fakeStore{}
	s := &service{t: t, log: &fakeLog{store: store}, store: store, logs: &logBuffer{}}
	o := Options{
		Publish: application.NewPublish(s.log, time.Minute),
		Find:    application.NewFind(store),
		Version: "1.2.3",
		Logger:  slog.New(slog.NewJSONHandler(s.logs, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	s.api, err = newAPI(o)
	require.NoError(t, err)
	return s
}

// in is the service in a test inside the test.
func (s *service) in(t *testing.T) *service {
	inner := *s
	inner.t = t
	return &inner
}

// logBuffer is a log that tests can read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// RoundTrip answers without a network.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	return w.Result(), nil
}

// serve starts a real server and returns its address.
func (s *service) serve() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	server := NewServer(s.api, s.api.Options)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(s.api.Load.Listener(l))
	}()
	s.t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// client is for a server that serve has started.
func (s *service) client() *http.Client {
	transport := &http.Transport{DisableCompression: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: &checked{s, transport}}
}

// checked holds each answer against the OpenAPI document.
type checked struct {
	s    *service
	next http.RoundTripper
}

func (c *checked) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(w.Body)
	w.Body.Close()
	if err == nil {
		c.s.conforms(r, w, body)
	}
	w.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return w, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

var openAPIModel = sync.OnceValues(func() (*v3.Document, error) {
	d, err := libopenapi.NewDocument(openAPI)
	if err != nil {
		return nil, err
	}
	model, err := d.BuildV3Model()
	if err != nil {
		return nil, err
	}
	return &model.Model, nil
})

var openAPIValidator = sync.OnceValue(func() responses.ResponseBodyValidator {
	model, _ := openAPIModel()
	return responses.NewResponseBodyValidator(model, config.WithFormatAssertions())
})

// conforms checks the answer. Where the document cannot have it (unknown paths, wrong methods) it must be a problem.
func (s *service) conforms(r *http.Request, w *http.Response, body []byte) {
	s.t.Helper()
	what := fmt.Sprintf("%s %s gives %d %s", r.Method, r.URL.EscapedPath(), w.StatusCode, body[:min(len(body), 1000)])
	require.Equal(s.t, "nosniff", w.Header.Get("X-Content-Type-Options"), what)
	if r.Method == http.MethodHead {
		require.Empty(s.t, body, what)
	}
	if w.StatusCode >= 400 && r.Method != http.MethodHead {
		s.isProblem(w, body)
	}
	model, err := openAPIModel()
	require.NoError(s.t, err)
	var match mux.RouteMatch
	if !s.api.router.Match(normalised(r), &match) || match.Route == nil {
		require.Equal(s.t, http.StatusNotFound, w.StatusCode, what)
		return
	}
	template, err := match.Route.GetPathTemplate()
	require.NoError(s.t, err)
	item := model.Paths.PathItems.GetOrZero(template)
	require.NotNil(s.t, item, "%s is not in the document", template)
	if _, ok := item.GetOperations().Get(strings.ToLower(r.Method)); !ok {
		require.Equal(s.t, http.StatusMethodNotAllowed, w.StatusCode, what)
		require.NotEmpty(s.t, w.Header.Get("Allow"), what)
		return
	}
	if w.Header.Get("Content-Type") == mediaNDJSON {
		content := item.Get.Responses.Codes.GetOrZero(strconv.Itoa(w.StatusCode)).Content
		require.NotNil(s.t, content.GetOrZero(mediaNDJSON), what)
		s.areEvents(r, body)
		return
	}
	s.isDocumented(r, w, body, item, template)
}

func (s *service) isDocumented(r *http.Request, w *http.Response, body []byte, item *v3.PathItem, template string) {
	s.t.Helper()
	w.Body = io.NopCloser(bytes.NewReader(body))
	ok, faults := openAPIValidator().ValidateResponseBodyWithPathItem(r, w, item, template)
	for _, f := range faults {
		s.t.Errorf("%s %s gives %s: %v", r.Method, r.URL, body[:min(len(body), 1000)], f)
	}
	require.True(s.t, ok)
}

// areEvents checks lines, for which OpenAPI 3.1 has no words: each is what a GET of the event gives.
func (s *service) areEvents(r *http.Request, lines []byte) {
	s.t.Helper()
	const template = "/api/events/{eventId}"
	model, err := openAPIModel()
	require.NoError(s.t, err)
	for line := range bytes.Lines(lines) {
		w := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": typeJSON}}
		s.isDocumented(r, w, bytes.TrimSuffix(line, []byte("\n")), model.Paths.PathItems.GetOrZero(template), template)
	}
}

// isProblem checks what holds for every error.
func (s *service) isProblem(w *http.Response, body []byte) {
	s.t.Helper()
	require.Equal(s.t, "application/problem+json", w.Header.Get("Content-Type"), "%s", body)
	var p problemBody
	require.NoError(s.t, json.Unmarshal(body, &p), "%s", body)
	require.Equal(s.t, w.StatusCode, p.Status, "%s", body)
	require.True(s.t, strings.HasPrefix(p.Type, typePrefix), "%s", body)
	require.NotEmpty(s.t, p.Title, "%s", body)
	require.NotEmpty(s.t, p.Detail, "%s", body)
	if w.StatusCode == http.StatusServiceUnavailable {
		require.Equal(s.t, "1", w.Header.Get("Retry-After"))
	}
}

type problemBody struct {
	Type, Title, Detail string
	EventID             string
	Status              int
	Errors              []struct{ In, Pointer, Detail string }
	Accepted, Rejected  *int
	Results             []resultBody
	Parts               map[string]struct{ Status, Detail string }
}

// pointers are the places of the faults, with where they are if not in the body.
func (p problemBody) pointers() []string {
	var all []string
	for _, e := range p.Errors {
		all = append(all, strings.TrimPrefix(e.In+":"+e.Pointer, ":"))
	}
	return all
}

type resultBody struct {
	EventID string
	Error   *problemBody
}

// response is an answer that was read to its end.
type response struct {
	*http.Response

	body string
}

// decode reads the body as JSON.
func decode[T any](t *testing.T, w response) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(w.body), &v), w.body)
	return v
}

// send makes a request. headers are "Name: value".
func (s *service) send(method, target, body string, headers ...string) response {
	s.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, content)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return s.sendRequest(&checked{s, s}, r)
}

func (s *service) sendRequest(via http.RoundTripper, r *http.Request) response {
	s.t.Helper()
	w, err := via.RoundTrip(r)
	require.NoError(s.t, err)
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	require.NoError(s.t, err)
	return response{w, string(text)}
}

func (s *service) get(target string, headers ...string) response {
	s.t.Helper()
	return s.send(http.MethodGet, target, "", headers...)
}

const asJSON = "Content-Type: application/json"

// post sends a JSON body.
func (s *service) post(target, body string, headers ...string) response {
	s.t.Helper()
	return s.send(http.MethodPost, target, body, append([]string{asJSON}, headers...)...)
}

// publish stores an event for a test to read, and returns its id.
func (s *service) publish(body string) string {
	s.t.Helper()
	w := s.post("/api/events", body)
	require.Equal(s.t, http.StatusAccepted, w.StatusCode, w.body)
	return decode[struct{ EventID string }](s.t, w).EventID
}
