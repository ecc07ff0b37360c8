package rest

import (
	"context"
	"net/http"
	"time"
)

// Observer is told of requests. Its methods are called by many goroutines at once, and must not wait.
type Observer interface {
	// Begin is called before a request is routed, and returns the request, or one like it with a context made of its.
	Begin(r *http.Request) *http.Request
	// End is called with that request's context when the answer has been sent, or cut off.
	End(ctx context.Context, o Observation)
}

// Observation is what became of a request.
type Observation struct {
	// Method is the request's, which may be any word.
	Method string
	// Route is the path of the resource with the names of its parameters in braces, "" where there is none: one of a few.
	Route string
	// Status is that of the answer, 0 where none was begun.
	Status int
	Took   time.Duration
}

func (a *api) observe(r *http.Request, w *answer, start time.Time) {
	a.Observer.End(r.Context(), Observation{Method: r.Method, Route: w.route, Status: w.status, Took: time.Since(start)})
}
