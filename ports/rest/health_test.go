package rest

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHealth(t *testing.T) {
	up := []Part{{Name: "broker", Up: true}, {Name: "store", Up: true}, {Name: "consumer", Up: true}}
	down := []Part{{Name: "broker", Detail: `says "no"` + "\n\xff"}, {Name: "store", Up: true, Detail: "slow"}, {Name: "consumer"}}
	answer := func(parts []Part) func(context.Context) []Part {
		return func(ctx context.Context) []Part {
			_, limited := ctx.Deadline()
			assert.True(t, limited)
			return parts
		}
	}
	s := newService(t, func(o *Options) { o.Live, o.Ready = answer(up), answer(down) })

	w := s.get("/health/live?probe=1", "Accept: text/plain")
	assert.Equal(t, http.StatusOK, w.StatusCode)
	assert.Equal(t, "application/json", w.Header.Get("Content-Type"))
	assert.Equal(t, `{"parts":{"broker":{"status":"up"},"store":{"status":"up"},"consumer":{"status":"up"}}}`, w.body)
	assert.Equal(t, "no-store", w.Header.Get("Cache-Control"))

	w = s.get("/health/ready")
	assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
	assert.Equal(t, "no-store", w.Header.Get("Cache-Control"))
	p := decode[problemBody](t, w)
	assert.Equal(t, "down", p.Parts["broker"].Status)
	assert.Equal(t, "says \"no\"\n\ufffd", p.Parts["broker"].Detail)
	assert.Equal(t, "up", p.Parts["store"].Status)
	assert.Equal(t, "slow", p.Parts["store"].Detail)
	assert.Equal(t, "down", p.Parts["consumer"].Status)
	assert.Equal(t, "broker: says \"no\"\n\ufffd; consumer", p.Detail)
	assert.Empty(t, s.logs.String(), "probes would fill the log")
}

func TestHealthWithoutParts(t *testing.T) {
	s := newService(t)
	assert.Equal(t, `{"parts":{}}`, s.get("/health/ready").body)
}

func TestHealthPanics(t *testing.T) {
	s := newService(t, func(o *Options) { o.Live = func(context.Context) []Part { panic("boom") } })
	assert.Equal(t, http.StatusInternalServerError, s.get("/health/live").StatusCode)
}
