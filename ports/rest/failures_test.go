package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/domain"
)

// fail has the address fail n times, one after the other, and returns how often it could try.
func (f *failures) fail(t *testing.T, from string, n int) (tried int) {
	t.Helper()
	for range n {
		if try, err := f.begin(t.Context(), from); err == nil {
			f.end(from, try, true)
			tried++
		}
	}
	return tried
}

func TestFailuresOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := newFailures()
		require.NoError(t, err)
		assert.Equal(t, failureBurst, f.fail(t, "a", 10*failureBurst))
		assert.True(t, f.full("a"))
		assert.False(t, f.full("b"))
		for range 3 {
			time.Sleep(failureEvery)
			assert.Equal(t, 1, f.fail(t, "a", 5), "one a second, however much is tried in between")
		}
		time.Sleep(failureBurst * failureEvery)
		assert.Equal(t, failureBurst, f.fail(t, "a", 10*failureBurst), "nothing is owed any more")
	})
}

func TestSuccessesAreNoFailures(t *testing.T) {
	f, err := newFailures()
	require.NoError(t, err)
	for range 10 * failureBurst {
		try, err := f.begin(t.Context(), "a")
		require.NoError(t, err)
		f.end("a", try, false)
	}
	assert.Zero(t, f.buckets.Len(), "one who never failed takes the place of nobody")
	f.fail(t, "a", 1)
	assert.Equal(t, 1, f.buckets.Len())
	for i := range maxFailing {
		f.fail(t, strconv.Itoa(i), 1)
	}
	assert.Equal(t, maxFailing, f.buckets.Len())
}

// TestTriesUnderWay has as many tries as may fail be under way: others wait for them, and not for long.
func TestTriesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := newFailures()
		require.NoError(t, err)
		f.fail(t, "a", 5)
		var last *tries
		for range failureBurst - 5 {
			last, err = f.begin(t.Context(), "a")
			require.NoError(t, err)
		}
		_, err = f.begin(t.Context(), "a")
		require.ErrorIs(t, err, errLockedOut, "the failures and what is under way are as many as may be")
		assert.False(t, f.full("a"), "for those who are known")
		f.end("a", last, false)
		last, err = f.begin(t.Context(), "a")
		require.NoError(t, err)
		_ = last

		for range failureBurst {
			last, err = f.begin(t.Context(), "b")
			require.NoError(t, err)
		}
		start := time.Now()
		_, err = f.begin(t.Context(), "b")
		require.ErrorIs(t, err, errLockedOut)
		assert.Equal(t, tryPatience, time.Since(start))
		time.AfterFunc(tryPatience/2, func() { f.end("b", last, false) })
		_, err = f.begin(t.Context(), "b")
		require.NoError(t, err, "one has ended meanwhile")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = f.begin(ctx, "b")
		require.ErrorIs(t, err, errLockedOut)
	})
}

// slow is the API for callers of whom most take long to find out; it is told of at the gate, and then that they are nobody.
type slow struct {
	*service

	gate   chan struct{}
	trying atomic.Int64
}

func newSlow(t *testing.T) *slow {
	s := &slow{gate: make(chan struct{})}
	s.service = secured(t, func(o *Options) {
		o.Load, o.TrustedProxies = NewLoad(Bounds{Requests: 2}), prefixes("192.0.2.0/24")
		quick := o.Authenticate
		o.Authenticate = func(r *http.Request) (Principal, error) {
			if r.Header.Get("X-Test") != "slow" {
				return quick(r)
			}
			s.trying.Add(1)
			defer s.trying.Add(-1)
			<-s.gate
			return Principal{}, fmt.Errorf("%w: unknown", domain.ErrBadCredentials)
		}
		o.Known = func(r *http.Request) (Principal, bool) {
			p, err := quick(r)
			return p, err == nil && p.ID == "known"
		}
	})
	return s
}

// TestWhoIsNotKnownTakesNoRoom has more callers than there is room for wait for the issuer, each from another address.
func TestWhoIsNotKnownTakesNoRoom(t *testing.T) {
	s := newSlow(t)
	var running sync.WaitGroup
	for i := range 80 {
		from := fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i)
		running.Go(func() {
			var w response
			if i%2 == 0 {
				w = s.get("/api/events", "X-Test: slow", from)
			} else {
				w = s.post("/api/events", smallEvent, "X-Test: slow", from)
			}
			assert.Equal(t, http.StatusUnauthorized, w.StatusCode)
		})
	}
	eventually(t, func() bool { return s.trying.Load() == 80 })
	assert.Equal(t, http.StatusOK, s.get("/api/events", as("a", "events:read")).StatusCode)
	assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent, as("a", "events:write")).StatusCode)
	assert.Zero(t, s.api.Load.State().Querying)
	close(s.gate)
	running.Wait()
}

// TestManyGuessesAtOnce has one address try far more at once than it may do wrong: most are not even looked at, those who are known
// go on meanwhile, and one second later the next try is taken.
func TestManyGuessesAtOnce(t *testing.T) {
	s := newSlow(t)
	var running sync.WaitGroup
	var unknown, refused atomic.Int64
	for range 300 {
		running.Go(func() {
			switch w := s.get("/api/events", "X-Test: slow"); w.StatusCode {
			case http.StatusUnauthorized:
				unknown.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			}
		})
	}
	eventually(t, func() bool { return refused.Load() == 300-failureBurst })
	assert.Equal(t, int64(failureBurst), s.trying.Load())
	assert.Equal(t, http.StatusOK, s.get("/api/events", as("known", "events:read")).StatusCode)
	close(s.gate)
	running.Wait()
	assert.Equal(t, int64(failureBurst), unknown.Load())
	w := s.get("/api/events", as("a", "events:read"))
	assert.Equal(t, http.StatusTooManyRequests, w.StatusCode)
	assert.Equal(t, "1", w.Header.Get("Retry-After"))
	eventually(t, func() bool { return s.get("/api/events", as("a", "events:read")).StatusCode == http.StatusOK })
}

// TestOneTokenManyTimes has a caller send much at once with a token that is not known yet: it guesses nothing.
func TestOneTokenManyTimes(t *testing.T) {
	s := secured(t)
	var running sync.WaitGroup
	for range 500 {
		running.Go(func() {
			assert.Equal(t, http.StatusOK, s.get("/api/events", as("a", "events:read")).StatusCode)
		})
	}
	running.Wait()
}
