package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/adapters/limit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// limited is a service with limits of 5 events a second, 20 at once, and 2 requests that read in a minute.
func limitedService(t *testing.T, change ...func(*Options)) *service {
	return newService(t, append([]func(*Options){func(o *Options) {
		o.Limits = Limits{
			Publish: limit.NewMemory(application.Quota{Units: 20, Window: 4 * time.Second}),
			Query:   limit.NewMemory(application.Quota{Units: 2, Window: time.Minute}),
		}
	}}, change...)...)
}

// rates are the header fields of the limits.
func rates(w *http.Response) []string {
	return []string{w.Header.Get("RateLimit-Policy"), w.Header.Get("RateLimit"), w.Header.Get("Retry-After")}
}

func TestPublishLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limitedService(t)
		for left := 19; left >= 0; left-- {
			w := s.post("/api/events", smallEvent)
			assert.Equal(t, http.StatusAccepted, w.StatusCode)
			assert.Equal(t, []string{`"publish";q=20;w=4`, fmt.Sprintf(`"publish";r=%d;t=1`, left), ""}, rates(w.Response))
		}
		w := s.post("/api/events", smallEvent)
		assert.Equal(t, http.StatusTooManyRequests, w.StatusCode)
		assert.Equal(t, []string{`"publish";q=20;w=4`, `"publish";r=0;t=1`, "1"}, rates(w.Response))
		p := decode[problemBody](t, w)
		assert.Equal(t, typePrefix+"rate-limited", p.Type)
		assert.Equal(t, "a caller may have 20 events in 4 s: 1 asked for, 0 left; try again in 1 s", p.Detail)
		assert.Equal(t, 20, s.log.published())
		time.Sleep(200 * time.Millisecond)
		assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent).StatusCode)
		assert.Equal(t, http.StatusTooManyRequests, s.post("/api/events", smallEvent).StatusCode)
		assert.Equal(t, int64(2), s.api.Load.State().Limited)
	})
}

// TestBatchLimit counts the events of batches.
func TestBatchLimit(t *testing.T) {
	batch := func(n int) string { return "[" + strings.Repeat(smallEvent+",", n-1) + smallEvent + "]" }
	synctest.Test(t, func(t *testing.T) {
		s := limitedService(t)
		w := s.post(batchPath, batch(15))
		assert.Equal(t, http.StatusAccepted, w.StatusCode)
		assert.Equal(t, `"publish";r=5;t=1`, w.Header.Get("RateLimit"))
		w = s.post(batchPath, batch(6))
		assert.Equal(t, http.StatusTooManyRequests, w.StatusCode)
		assert.Equal(t, []string{`"publish";q=20;w=4`, `"publish";r=4;t=1`, "1"}, rates(w.Response), "a batch that is refused costs one")
		assert.Contains(t, decode[problemBody](t, w).Detail, "6 asked for, 5 left")
		assert.Equal(t, http.StatusAccepted, s.post(batchPath, batch(4)).StatusCode)
		assert.Equal(t, http.StatusTooManyRequests, s.post(batchPath, batch(1)).StatusCode)

		time.Sleep(time.Minute)
		w = s.post(batchPath, batch(1000))
		assert.Equal(t, http.StatusAccepted, w.StatusCode, "of a full quota even more can be taken")
		assert.Equal(t, []string{`"publish";q=20;w=4`, `"publish";r=0;t=197`, ""}, rates(w.Response), "980 are owed")
		w = s.post("/api/events", smallEvent)
		assert.Equal(t, "197", w.Header.Get("Retry-After"))
		time.Sleep(196*time.Second + 200*time.Millisecond)
		assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent).StatusCode)
	})
}

// TestRefusedBatchIsPossibleLater sends a batch again when the answer says, until it is taken.
func TestRefusedBatchIsPossibleLater(t *testing.T) {
	for _, n := range []int{6, 20, 21, 1000} {
		synctest.Test(t, func(t *testing.T) {
			s := limitedService(t)
			s.post(batchPath, "["+strings.Repeat(smallEvent+",", 14)+smallEvent+"]")
			body := "[" + strings.Repeat(smallEvent+",", n-1) + smallEvent + "]"
			tries := 0
			for ; ; tries++ {
				w := s.post(batchPath, body)
				if w.StatusCode == http.StatusAccepted {
					break
				}
				wait, err := strconv.Atoi(w.Header.Get("Retry-After"))
				require.NoError(t, err)
				require.Less(t, tries, 3)
				time.Sleep(time.Duration(wait) * time.Second)
			}
			assert.LessOrEqual(t, tries, 2)
		})
	}
}

// TestBadInputIsCounted has no caller try nonsense without end.
func TestBadInputIsCounted(t *testing.T) {
	s := limitedService(t)
	for range 10 {
		assert.Equal(t, http.StatusBadRequest, s.post("/api/events", "nonsense").StatusCode)
		assert.Equal(t, http.StatusBadRequest, s.post(batchPath, "nonsense").StatusCode)
	}
	assert.Equal(t, http.StatusTooManyRequests, s.post(batchPath, "nonsense").StatusCode)
}

func TestQueryLimit(t *testing.T) {
	for name, request := range map[string][2]string{
		"list": {http.MethodGet, "/api/events"}, "user": {http.MethodGet, "/api/events/user/u"}, "head": {http.MethodHead, "/api/events/type/t"},
		"one": {http.MethodGet, "/api/events/" + someID}, "bad": {http.MethodGet, "/api/events?limit=x"},
	} {
		t.Run(name, func(t *testing.T) {
			s := limitedService(t)
			for range 2 {
				w := s.send(request[0], request[1], "")
				assert.NotEqual(t, http.StatusTooManyRequests, w.StatusCode)
				assert.Equal(t, `"query";q=2;w=60`, w.Header.Get("RateLimit-Policy"))
			}
			w := s.send(request[0], request[1], "")
			assert.Equal(t, http.StatusTooManyRequests, w.StatusCode)
			assert.Equal(t, []string{`"query";q=2;w=60`, `"query";r=0;t=30`, "30"}, rates(w.Response))
			assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent).StatusCode, "publishing has a limit of its own")
		})
	}
}

// TestNotLimited tells what has no limit: whatever tells how the service is, and what it can.
func TestNotLimited(t *testing.T) {
	s := limitedService(t)
	for range 30 {
		for _, path := range []string{"/health/live", "/health/ready", "/openapi.json", "/swagger", "/swagger/start.js", "/nowhere"} {
			w := s.get(path)
			assert.NotEqual(t, http.StatusTooManyRequests, w.StatusCode)
			assert.Empty(t, w.Header.Get("RateLimit"))
		}
		assert.Equal(t, http.StatusMethodNotAllowed, s.send(http.MethodDelete, "/api/events", "").StatusCode)
	}
	w := newService(t).post("/api/events", smallEvent)
	assert.Equal(t, []string{"", "", ""}, rates(w.Response))
}

// TestLimitsAreByCaller has many callers, some of whom would like to be others.
func TestLimitsAreByCaller(t *testing.T) {
	s := limitedService(t, func(o *Options) { o.TrustedProxies = prefixes("10.0.0.0/8") })
	read := func(peer, forwarded string) int {
		r := httptest.NewRequest(http.MethodGet, "/api/events", http.NoBody)
		r.RemoteAddr = peer + ":1234"
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		w, err := s.RoundTrip(r)
		require.NoError(t, err)
		w.Body.Close()
		return w.StatusCode
	}
	spend := func(peer, forwarded string) {
		t.Helper()
		assert.Equal(t, http.StatusOK, read(peer, forwarded))
		assert.Equal(t, http.StatusOK, read(peer, forwarded))
		assert.Equal(t, http.StatusTooManyRequests, read(peer, forwarded))
	}
	spend("203.0.113.1", "")
	for i := range 20 {
		assert.Equal(t, http.StatusTooManyRequests, read("203.0.113.1", fmt.Sprintf("198.51.100.%d", i)), "the word of a peer that is not trusted")
	}
	spend("203.0.113.2", "")
	spend("10.0.0.1", "198.51.100.1")
	assert.Equal(t, http.StatusTooManyRequests, read("10.0.0.2", "198.51.100.1"), "by another proxy")
	for i := range 20 {
		assert.Equal(t, http.StatusTooManyRequests, read("10.0.0.1", fmt.Sprintf("192.0.2.%d, 198.51.100.1", i)), "what the client has put before it")
	}
	spend("10.0.0.1", "198.51.100.2")
	spend("[2001:db8::1]", "")
	assert.Equal(t, http.StatusTooManyRequests, read("[2001:db8::2]", ""), "another address of the same network")
	spend("[2001:db8:0:1::1]", "")
}

// absent is a limiter whose numbers are nowhere.
type absent struct{ application.Limiter }

func (absent) Take(context.Context, string, int, int) (application.Grant, error) {
	return application.Grant{}, fmt.Errorf("%w: dial tcp 10.1.2.3", domain.ErrUnavailable)
}

func TestLimiterAway(t *testing.T) {
	for closed, status := range map[bool][2]int{false: {202, 200}, true: {503, 503}} {
		s := newService(t, func(o *Options) {
			l := absent{limit.NewMemory(application.Quota{Units: 1, Window: time.Second})}
			o.Limits = Limits{Publish: l, Query: l, FailClosed: closed}
		})
		for range 10 {
			posted, read := s.post("/api/events", smallEvent), s.get("/api/events")
			assert.Equal(t, status, [2]int{posted.StatusCode, read.StatusCode})
			for _, w := range []response{posted, read} {
				assert.Empty(t, w.Header.Get("RateLimit"))
				assert.NotContains(t, w.body, "10.1.2.3")
				if closed {
					assert.Equal(t, typePrefix+"limiter-away", decode[problemBody](t, w).Type)
				}
			}
		}
		assert.Equal(t, http.StatusOK, s.get("/health/live").StatusCode)
		assert.Equal(t, int64(20), s.api.Load.State().Uncounted)
	}
}
