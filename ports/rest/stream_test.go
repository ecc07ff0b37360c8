package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const streamedEvent = `{"eventId":"` + someID + `","userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00Z","metadata":{"a":"0123456789"}}`

// stream makes the store answer with n events and then with the error.
func (s *service) stream(n int, next string, err error) {
	s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for range n {
			if err := yield([]byte(streamedEvent)); err != nil {
				return "", err
			}
		}
		return next, err
	}
}

func TestStreamLongList(t *testing.T) {
	const n = 20_000
	s := newService(t)
	s.stream(n, "", nil)
	address := s.serve()
	for _, accept := range []string{"application/json", "application/x-ndjson"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/events", http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Accept", accept)
		w, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(r) // unchecked: it is long
		require.NoError(t, err)
		body, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		w.Body.Close()
		assert.Equal(t, accept, w.Header.Get("Content-Type"))
		if accept == mediaNDJSON {
			assert.Equal(t, strings.Repeat(streamedEvent+"\n", n), string(body))
			continue
		}
		var b struct {
			Count  int
			Events []json.RawMessage
		}
		require.NoError(t, json.Unmarshal(body, &b))
		assert.Equal(t, n, b.Count)
		assert.Len(t, b.Events, n)
	}
}

func TestNextCursorOfLongPageIsATrailer(t *testing.T) {
	s := newService(t)
	s.stream(2_000, "more", nil)
	address := s.serve()
	page := func(query string) (header, trailer http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/events"+query, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Accept", mediaNDJSON)
		w, err := s.client().Do(r)
		require.NoError(t, err)
		defer w.Body.Close()
		_, err = io.Copy(io.Discard, w.Body)
		require.NoError(t, err)
		return w.Header, w.Trailer
	}
	header, trailer := page("?limit=2000")
	assert.Equal(t, "more", trailer.Get("Next-Cursor"))
	assert.Empty(t, header.Get("Next-Cursor"))
	_, trailer = page("")
	assert.Empty(t, trailer.Get("Next-Cursor"), "without a limit there is no page")
	s.stream(2, "more", nil)
	header, trailer = page("?limit=2")
	assert.Equal(t, "more", header.Get("Next-Cursor"))
	assert.Empty(t, trailer)
}

func TestStreamOfLargeEvents(t *testing.T) {
	large := strings.Replace(streamedEvent, "0123456789", strings.Repeat("x", 1<<20), 1)
	s := newService(t)
	s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for i := range 6 {
			event := streamedEvent
			if i%2 == 0 {
				event = large
			}
			if err := yield([]byte(event)); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	want := strings.Repeat(large+"\n"+streamedEvent+"\n", 3)
	assert.Equal(t, want, s.get("/api/events", asLines).body)
	assert.Equal(t, 6, decode[listBody](t, s.get("/api/events")).Count)
}

func TestStreamBreaksOffWithTheStore(t *testing.T) {
	for _, accept := range []string{"application/json", "application/x-ndjson"} {
		s := newService(t)
		s.stream(1_000, "", errors.New("the store's reason"))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.serve()+"/api/events", http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Accept", accept)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		w, err := transport.RoundTrip(r)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, w.StatusCode)
		body, err := io.ReadAll(w.Body)
		w.Body.Close()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.NotContains(t, string(body), "reason")
		assert.NotContains(t, string(body), "count")
		assert.Contains(t, s.logs.String(), "the store's reason")
	}
}

func TestStreamPanicBreaksOff(t *testing.T) {
	s := newService(t)
	s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for range 1_000 {
			_ = yield([]byte(streamedEvent))
		}
		panic("boom")
	}
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { s.get("/api/events") })
	assert.Contains(t, s.logs.String(), "boom")
}

func TestStreamEndsWithTheClient(t *testing.T) {
	s := newService(t)
	ended := make(chan error, 1)
	s.store.stream = func(ctx context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for {
			if err := yield([]byte(streamedEvent)); err != nil {
				ended <- err
				return "", err
			}
			if ctx.Err() != nil {
				ended <- ctx.Err()
				return "", ctx.Err()
			}
		}
	}
	c, err := net.Dial("tcp", s.serve())
	require.NoError(t, err)
	_, err = io.WriteString(c, "GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	c.Close()
	require.Error(t, <-ended)
	assert.Empty(t, s.logs.String(), "a client that leaves is no failure")
}

func TestSlowClientHoldsOnlyItself(t *testing.T) {
	s := newService(t, func(o *Options) { o.ChunkTimeout = 100 * time.Millisecond })
	ended := make(chan error, 1)
	s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for {
			if err := yield([]byte(streamedEvent)); err != nil {
				ended <- err
				return "", err
			}
		}
	}
	address := s.serve()
	slow, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer slow.Close()
	_, err = io.WriteString(slow, "GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n") // and reads nothing
	require.NoError(t, err)
	w, err := s.client().Get("http://" + address + "/health/live")
	require.NoError(t, err)
	w.Body.Close()
	assert.Equal(t, http.StatusOK, w.StatusCode)
	var timeout net.Error
	require.ErrorAs(t, <-ended, &timeout)
	assert.True(t, timeout.Timeout())
}

// discarding is a client that is as fast as can be.
type discarding struct {
	http.ResponseWriter

	header http.Header
	bytes  int
}

func (d *discarding) Header() http.Header              { return d.header }
func (d *discarding) WriteHeader(int)                  {}
func (d *discarding) SetReadDeadline(time.Time) error  { return nil }
func (d *discarding) SetWriteDeadline(time.Time) error { return nil }
func (d *discarding) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

func TestStreamMemoryIsConstant(t *testing.T) {
	s := newService(t)
	event := []byte(streamedEvent)
	s.store.stream = func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		for range 300_000 {
			if err := yield(event); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	w := &discarding{header: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/api/events", http.NoBody)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.api.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	assert.Greater(t, w.bytes, 40<<20)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestStreamErrorsOfTheFirstPiece(t *testing.T) {
	s := newService(t)
	s.stream(100, "", domain.ErrUnavailable)
	w := s.get("/api/events", asLines)
	assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
	assert.Empty(t, w.Header.Get("Trailer"))
}
