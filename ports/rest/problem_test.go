package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestProblemOf(t *testing.T) {
	tests := []struct {
		err  error
		kind *kind
	}{
		{domain.Invalid("/a", "b"), invalid},
		{&domain.InvalidError{Malformed: true, Violations: []domain.Violation{{Detail: "x"}}}, malformed},
		{&domain.InvalidError{}, invalid},
		{domain.ErrInvalid, invalid},
		{domain.ErrTooLarge, tooLarge},
		{domain.ErrNotFound, notFound},
		{domain.ErrOverloaded, overloaded},
		{domain.ErrUnavailable, unavailable},
		{context.DeadlineExceeded, unavailable},
		{context.Canceled, unavailable},
		{errors.New("x"), internal},
		{newProblem(tooSlow, ""), tooSlow},
	}
	for _, test := range tests {
		p := problemOf(fmt.Errorf("in a wrapper: %w", test.err))
		assert.Equal(t, test.kind.name, p.name, test.err)
		assert.NotEmpty(t, p.Error())
	}
}

func TestProblemTextIsCutAndValid(t *testing.T) {
	for i := range 4 {
		for _, unit := range []string{"é", "日", "😀", "\xff", `"`, "\x00"} {
			text := strings.Repeat("x", i) + strings.Repeat(unit, 2*maxFaultBytes)
			b := appendText(nil, text)
			var got string
			require.NoError(t, json.Unmarshal(b, &got))
			assert.True(t, utf8.ValidString(got))
			assert.LessOrEqual(t, len(got), 2*maxFaultBytes)
			assert.True(t, strings.HasSuffix(got, "…"))
		}
	}
}

func TestProblemShowsSomeFaults(t *testing.T) {
	p := faulty(invalid, make([]fault, 1_000)...)
	var body problemBody
	require.NoError(t, json.Unmarshal(append(appendMembers([]byte{'{'}, p), '}'), &body))
	assert.Len(t, body.Errors, maxFaults)
	assert.Contains(t, body.Detail, "999 more")
}

func TestRequestsAreLoggedForDebugging(t *testing.T) {
	s := newService(t)
	s.get("/api/events/user/a%0Ab")
	assert.Empty(t, s.logs.String())
	s = newService(t, func(o *Options) {
		logs := &logBuffer{}
		o.Logger = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		t.Cleanup(func() {
			assert.Contains(t, logs.String(), `method=GET path=/api/events/user/a%0Ab status=400`)
			assert.Equal(t, 1, strings.Count(logs.String(), "\n"))
		})
	})
	assert.Equal(t, http.StatusBadRequest, s.get("/api/events/user/a%0Ab").StatusCode)
}

// TestRetryAfter tells callers when a part that is away will be tried again; one that is only busy may be tried sooner.
func TestRetryAfter(t *testing.T) {
	a := &api{Options: Options{RetryAfter: 2500 * time.Millisecond}}
	for k, want := range map[*kind]string{brokerAway: "3", unavailable: "3", overloaded: "1", internal: ""} {
		h := http.Header{}
		a.setProblemHeader(h, newProblem(k, ""))
		assert.Equal(t, want, h.Get("Retry-After"), k.name)
	}
}

// TestNotSent tells of an event that was refused that it is not in the log.
func TestNotSent(t *testing.T) {
	p := problemOf(fmt.Errorf("publish: %w", application.ErrNotSent))
	assert.Equal(t, http.StatusServiceUnavailable, p.status)
	assert.Contains(t, p.detail, "was not sent")
	assert.Contains(t, problemOf(domain.ErrUnavailable).detail, "try again")
	assert.Contains(t, problemOf(application.ErrRebuilding).detail, "read from the log")
}
