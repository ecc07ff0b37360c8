// Package rest is the HTTP API: it takes events, answers queries, and describes itself in an OpenAPI document.
//
// The routes are in this file, what a request's parameters and bodies may be in params.go and body.go, and every error
// that a caller can see in the table of problem.go. openapi.yaml describes all of it; the tests hold each answer against
// that document.
package rest

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"
	"github.com/rs/cors"
)

type api struct {
	Options

	router   *mux.Router
	cors     *cors.Cors
	failures *failures
	// publishPolicy and queryPolicy are nil where there is no limit.
	publishPolicy, queryPolicy *policy
}

// NewHandler returns the handler of the whole API. Serve it with [NewServer]: some of its timeouts are the server's.
func NewHandler(o Options) (http.Handler, error) {
	return newAPI(o)
}

func newAPI(o Options) (*api, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &api{Options: o.withDefaults(), cors: newCORS(o.Origins)}
	a.publishPolicy = newPolicy("publish", "events", a.Limits.Publish)
	a.queryPolicy = newPolicy("query", "requests", a.Limits.Query)
	var err error
	if a.failures, err = newFailures(); err != nil {
		return nil, err
	}
	docs, err := newDocs(a.Version, a.means())
	if err != nil {
		return nil, err
	}
	// Paths are matched as they were sent, so that an escaped slash stays in its segment; nothing is cleaned, so that ".."
	// can be a user.
	a.router = mux.NewRouter().UseEncodedPath().SkipClean(true)
	a.router.NotFoundHandler = http.HandlerFunc(a.notFound)
	for _, s := range append(a.resources(), docs.resources()...) {
		s.api = a
		a.router.Handle(s.path, s)
	}
	return a, nil
}

// resources lists the paths of events, administration and health. The first match wins: "batch" is no event's id.
func (a *api) resources() []*resource {
	return []*resource{
		{path: "/api/events", counted: true, post: a.publishOne, get: a.listAll},
		{path: "/api/events/batch", counted: true, post: a.publishBatch},
		{path: "/api/events/user/{userId}", counted: true, get: a.listUser},
		{path: "/api/events/type/{eventType}", counted: true, get: a.listType},
		{path: "/api/events/{eventId}", counted: true, get: a.event},
		{path: "/api/admin/dead-letters", get: a.listLetters, admin: true},
		{path: "/api/admin/dead-letters/requeue", post: a.requeueLetters, admin: true},
		{path: "/api/admin/dead-letters/{id}", get: a.letter, delete: a.dropLetter, admin: true},
		{path: "/api/admin/dead-letters/{id}/requeue", post: a.requeueLetter, admin: true},
		{path: "/api/admin/broker", get: a.topology, admin: true},
		{path: "/api/admin/messages", get: a.messages, admin: true},
		{path: "/health/live", get: a.health(a.Live), public: true},
		{path: "/health/ready", get: a.health(a.Ready), public: true},
	}
}

// handler answers a request, or returns the error that is to be shown.
type handler func(w *answer, r *http.Request) error

// resource is one path: what has a get has a HEAD too.
type resource struct {
	api               *api
	path              string
	get, post, delete handler
	// public is for everybody, admin for callers with that scope; what is neither needs the scope of the method.
	public, admin bool
	// counted says that the callers' limits hold here.
	counted bool
}

// ServeHTTP dispatches by method. The router could do it too, but tells neither the methods that would have been right
// nor that "batch" with GET is not an event's id.
func (s *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ans := asAnswer(w)
	ans.route = s.path
	h := s.handler(r.Method)
	if h == nil {
		ans.Header()["Allow"] = []string{s.allow()}
		s.api.fail(ans, r, newProblem(notAllowed, r.Method+" is not a method of this resource; see Allow"))
		return
	}
	if err := s.serve(h, ans, r); err != nil {
		s.api.fail(ans, r, err)
	}
}

// serve answers a request if the caller may make one, there is room for it, and the caller has not made too many. Whoever is not
// known to be allowed takes no room: to find that out may take long. One that fails makes room before it is answered: its
// client may still be sending.
func (s *resource) serve(h handler, w *answer, r *http.Request) error {
	if err := s.authorise(w, r); err != nil {
		return err
	}
	if s.bounded() {
		leave, ok := s.api.Load.enter(r, s)
		if !ok {
			return errRequests
		}
		defer leave()
	}
	if s.counted {
		if err := s.api.charge(w, r, s.api.policyOf(r.Method), 1, 0); err != nil {
			return err
		}
	}
	return h(w, r)
}

func (s *resource) handler(method string) handler {
	switch method {
	case http.MethodGet, http.MethodHead:
		return s.get
	case http.MethodPost:
		return s.post
	case http.MethodDelete:
		return s.delete
	}
	return nil
}

func (s *resource) allow() string {
	var methods []string
	if s.get != nil {
		methods = append(methods, "GET, HEAD")
	}
	if s.post != nil {
		methods = append(methods, "POST")
	}
	if s.delete != nil {
		methods = append(methods, "DELETE")
	}
	return strings.Join(methods, ", ")
}

func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	a.fail(asAnswer(w), r, newProblem(notFound, "there is nothing at this path"))
}
