package rest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const smallEvent = `{"userId":"u","eventType":"t"}`

// wire is a connection on which a test writes what it likes.
type wire struct {
	net.Conn

	s      *service
	reader *bufio.Reader
}

func dial(t *testing.T, s *service, address string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &wire{c, s, bufio.NewReader(c)}
}

func (c *wire) write(text string) {
	c.s.t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(c.s.t, err)
}

// read reads an answer to a request of the method and path, and checks it.
func (c *wire) read(method, path string) response {
	c.s.t.Helper()
	r, err := http.NewRequestWithContext(c.s.t.Context(), method, "http://x"+path, http.NoBody)
	require.NoError(c.s.t, err)
	w, err := http.ReadResponse(c.reader, r)
	require.NoError(c.s.t, err)
	body, err := io.ReadAll(w.Body)
	require.NoError(c.s.t, err)
	w.Body.Close()
	c.s.conforms(r, w, body)
	return response{w, string(body)}
}

const postHead = "POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

func TestSlowBody(t *testing.T) {
	s := newService(t, func(o *Options) { o.BodyTimeout = 50 * time.Millisecond; o.BatchTimeout = 50 * time.Millisecond })
	address := s.serve()
	for _, framing := range []string{"Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "Content-Length: 100\r\n\r\n"} {
		for _, path := range []string{"/api/events", batchPath} {
			c := dial(t, s, address)
			c.write("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + framing)
			w := c.read(http.MethodPost, path)
			assert.Equal(t, http.StatusRequestTimeout, w.StatusCode)
			assert.True(t, w.Close)
			_, err := c.reader.ReadByte()
			require.ErrorIs(t, err, io.EOF)
		}
	}
}

func TestSlowBodyOfAnotherRequest(t *testing.T) {
	s := newService(t, func(o *Options) { o.BodyTimeout = 50 * time.Millisecond })
	c := dial(t, s, s.serve())
	c.write("GET /api/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	assert.Equal(t, http.StatusOK, c.read(http.MethodGet, "/api/events").StatusCode)
	_, err := c.reader.ReadByte()
	require.ErrorIs(t, err, io.EOF, "the connection is of no more use")
}

// TestBodyDeadlineEndsWithTheBody: net/http watches the connection while the handler works, and the deadline must not end that, nor
// the request's context, nor the next request, in HTTP/1 and in HTTP/2.
func TestBodyDeadlineEndsWithTheBody(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		ended := make(chan error, 2)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b := newBuffer()
			defer b.free()
			assert.NoError(t, b.read(asAnswer(w), r, nil, 100, 30*time.Millisecond))
			select {
			case <-r.Context().Done():
			case <-time.After(100 * time.Millisecond): // what takes longer than the body may
			}
			ended <- r.Context().Err()
		}))
		server.EnableHTTP2 = protocol == "HTTP/2.0"
		server.StartTLS()
		for range 2 {
			w, err := server.Client().Post(server.URL, mediaJSON, strings.NewReader(smallEvent))
			require.NoError(t, err)
			w.Body.Close()
			assert.Equal(t, protocol, w.Proto)
			require.NoError(t, <-ended)
		}
		server.Close()
	}
}

// TestDrainWaitsForNoClient ends the service's patience with a body that does not come, and with an answer that nobody takes.
func TestDrainWaitsForNoClient(t *testing.T) {
	s := newService(t)
	s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for {
			if err := yield([]byte(smallEvent)); err != nil {
				return "", err
			}
		}
	}
	address := s.serve()
	body, reader := dial(t, s, address), dial(t, s, address)
	body.write(postHead + "Content-Length: 100\r\n\r\n[")
	reader.write("GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
	waiting := func() int {
		s.api.Load.deadlines.mu.Lock()
		defer s.api.Load.deadlines.mu.Unlock()
		return len(s.api.Load.deadlines.waiting)
	}
	eventually(t, func() bool { return s.api.Load.Accepted() == 1 && waiting() == 2 })
	start := time.Now()
	s.api.Load.Drain(50 * time.Millisecond)
	assert.Equal(t, http.StatusRequestTimeout, body.read(http.MethodPost, "/api/events").StatusCode)
	eventually(t, func() bool { return s.api.Load.Accepted() == 0 && waiting() == 0 })
	late := dial(t, s, address)
	late.write(postHead + "Content-Length: 100\r\n\r\n[")
	assert.Equal(t, http.StatusRequestTimeout, late.read(http.MethodPost, "/api/events").StatusCode)
	assert.Less(t, time.Since(start), 10*time.Second)
}

// TestHandOver ends a service to which one client has a connection: its next answer tells it to go, and nobody waits longer than for that.
func TestHandOver(t *testing.T) {
	s := newService(t)
	address := s.serve()
	c := dial(t, s, address)
	get := func() response {
		c.write("GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
		return c.read(http.MethodGet, "/api/events")
	}
	assert.False(t, get().Close)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	s.api.Load.HandOver(short)
	require.Error(t, short.Err(), "it waits while a connection is open")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.api.Load.HandOver(t.Context())
	}()
	assert.True(t, get().Close)
	_, err := c.reader.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	<-ended
	s.api.Load.HandOver(t.Context()) // nobody is there
}

// TestListenerCloses twice: the server closes it again.
func TestListenerCloses(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := NewLoad(Bounds{}).Listener(inner)
	accepted := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-accepted, net.ErrClosed)
}

func TestBodyFraming(t *testing.T) {
	length := fmt.Sprintf("Content-Length: %d\r\n", len(smallEvent))
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(smallEvent), smallEvent)
	tests := map[string]struct {
		request string
		status  int
	}{
		"a length":             {postHead + length + "\r\n" + smallEvent, 202},
		"chunks":               {postHead + chunked, 202},
		"no length, no body":   {postHead + "\r\n", 400},
		"a length of 0":        {postHead + "Content-Length: 0\r\n\r\n", 400},
		"HTTP/1.0":             {strings.Replace(postHead, "HTTP/1.1", "HTTP/1.0", 1) + length + "\r\n" + smallEvent, 202},
		"a broken chunk":       {postHead + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		"100-continue":         {postHead + "Expect: 100-continue\r\n" + length + "\r\n" + smallEvent, 202},
		"too large, announced": {postHead + "Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n", 413},
		"far too large":        {postHead + "Content-Length: 100000000000\r\n\r\n", 413},
	}
	s := newService(t)
	address := s.serve()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.in(t), address)
			c.write(test.request)
			if strings.HasPrefix(name, "100") {
				line, err := c.reader.ReadString('\n')
				require.NoError(t, err)
				assert.Contains(t, line, "100 Continue")
				_, err = c.reader.ReadString('\n')
				require.NoError(t, err)
			}
			assert.Equal(t, test.status, c.read(http.MethodPost, "/api/events").StatusCode)
		})
	}
}

func TestBodyThatEndsEarly(t *testing.T) {
	s := newService(t)
	c := dial(t, s, s.serve())
	c.write(postHead + "Content-Length: 100\r\n\r\n" + smallEvent)
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	assert.Equal(t, http.StatusBadRequest, c.read(http.MethodPost, "/api/events").StatusCode)
	assert.Zero(t, s.log.published())
}

// A client that writes its whole body before it reads must find the answer, not a broken connection.
func TestRefusedBodyIsReadToItsEnd(t *testing.T) {
	s := newService(t)
	address := s.serve()
	client := s.client()
	for contentType, status := range map[string]int{"application/json": 413, "text/plain": 415} {
		for range 10 {
			w, err := client.Post("http://"+address+"/api/events", contentType, strings.NewReader(strings.Repeat("x", 8<<20)))
			require.NoError(t, err)
			w.Body.Close()
			assert.Equal(t, status, w.StatusCode)
		}
	}
}

func TestPaths(t *testing.T) {
	s := newService(t)
	address := s.serve()
	for target, status := range map[string]int{
		"/api/events/user/..": 200, "/api/events/user/../..": 404, "/api/events/user/a//b": 404, "//api/events": 404, "/api//events": 404,
		"/api/events/": 404, "/": 404, "/API/events": 404, "/api/events/user/\xff": 400, "/api/events/user/a\"b%2Fc": 200,
		"/api/events/user/\xe6\x97\xa5%2F\xfc": 400, "/%61pi/events": 200, "/api%2Fevents": 404, "http://other/api/events": 200,
		"/api/events/user/a%2Fb?limit=1": 200, "/favicon.ico": 404, "*": 404, "/swagger/../api/events": 404,
	} {
		c := dial(t, s, address)
		c.write("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		w, err := http.ReadResponse(c.reader, nil)
		require.NoError(t, err)
		assert.Equal(t, status, w.StatusCode, target)
		assert.Empty(t, w.Header.Get("Location"))
		w.Body.Close()
	}
}

// TestRequestsThatCannotBeRead are answered before there is one for the handler.
func TestRequestsThatCannotBeRead(t *testing.T) {
	s := newService(t)
	address := s.serve()
	host := " HTTP/1.1\r\nHost: x\r\n"
	for request, want := range map[string]struct {
		status       int
		name, detail string
	}{
		"GET /api/events/user/%ZZ" + host + "\r\n":                                    {400, "malformed", "its target"},
		"GET /api/events?limit= 5" + host + "\r\n":                                    {400, "malformed", "its target"},
		"GET api/events" + host + "\r\n":                                              {400, "malformed", ""},
		"G@T /" + host + "\r\n":                                                       {400, "malformed", ""},
		"nonsense\r\n\r\n":                                                            {400, "malformed", ""},
		"GET / HTTP/1.1\r\n\r\n":                                                      {400, "malformed", "missing required Host header"},
		"GET / HTTP/1.1\r\nHost: a b<\r\n\r\n":                                        {400, "malformed", "malformed Host header"},
		"GET /" + host + "no colon\r\n\r\n":                                           {400, "malformed", ""},
		"GET /" + host + "A: a\x00b\r\n\r\n":                                          {400, "malformed", ""},
		"POST /api/events" + host + "Content-Length: abc\r\n\r\n":                     {400, "malformed", ""},
		"GET /api/events?userId=" + strings.Repeat("x", 80<<10) + host + "\r\n":       {431, "header-too-large", "65536"},
		"POST /api/events" + host + "Transfer-Encoding: gzip\r\n\r\n":                 {501, "unknown-transfer-coding", "chunked"},
		"GET / HTTP/3.0\r\nHost: x\r\n\r\n":                                           {505, "http-version", "HTTP/1.1"},
		"POST /api/events" + host + "Expect: more\r\nContent-Length: 1\r\n\r\nx":      {417, "expectation-failed", "100-continue"},
		"OPTIONS *" + host + "\r\n":                                                   {404, "not-found", "nothing at this path"},
		"GET /api/events/user/HTTP%2F1.1%20400%20Bad%20Request%0d%0a" + host + "\r\n": {400, "invalid", ""},
	} {
		c := dial(t, s, address)
		c.write(request)
		w, err := http.ReadResponse(c.reader, nil)
		require.NoError(t, err, request)
		body, err := io.ReadAll(w.Body)
		require.NoError(t, errors.Join(err, w.Body.Close()), request)
		assert.Equal(t, want.status, w.StatusCode, request)
		s.isProblem(w, body)
		p := decode[problemBody](t, response{w, string(body)})
		assert.Equal(t, typePrefix+want.name, p.Type, request)
		assert.Contains(t, p.Detail, want.detail, request)
	}
}

func TestServerHasTimeouts(t *testing.T) {
	server := NewServer(http.NotFoundHandler(), Options{})
	assert.Positive(t, server.ReadHeaderTimeout)
	assert.Positive(t, server.WriteTimeout)
	assert.Positive(t, server.IdleTimeout)
	assert.Positive(t, server.MaxHeaderBytes)
	assert.Zero(t, server.ReadTimeout, "each body has a time-out of its own")
}

func TestNewHandlerChecksOptions(t *testing.T) {
	p, f := application.NewPublish(&fakeLog{}, time.Second), application.NewFind(&fakeStore{})
	for _, o := range []Options{
		{}, {Publish: p}, {Find: f}, {Publish: p, Find: f, MaxBody: -1}, {Publish: p, Find: f, MaxBatch: domain.MaxElements + 1},
	} {
		_, err := NewHandler(o)
		require.Error(t, err)
	}
	_, err := NewHandler(Options{Publish: p, Find: f})
	require.NoError(t, err)
}
