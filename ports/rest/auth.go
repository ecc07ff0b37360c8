package rest

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/netstreamflow/netstreamflow/domain"
)

// The challenges of RFC 6750. They say nothing about why.
var (
	challenge        = []string{`Bearer realm="netstreamflow"`}
	challengeInvalid = []string{`Bearer realm="netstreamflow", error="invalid_token", error_description="the token or key is not valid"`}
)

// needs is the scope for the method.
func (s *resource) needs(method string) Scope {
	switch {
	case s.admin:
		return ScopeAdmin
	case method == http.MethodGet || method == http.MethodHead:
		return ScopeRead
	}
	return ScopeWrite
}

// authorise finds out who calls, and whether that one may use the resource.
func (s *resource) authorise(w *answer, r *http.Request) error {
	if s.public || s.api.Authenticate == nil {
		return nil
	}
	if err := s.api.authenticate(w, r); err != nil {
		return err
	}
	need := s.needs(r.Method)
	if w.principal.Has(need) {
		return nil
	}
	w.Header()["Www-Authenticate"] = []string{challenge[0] + `, error="insufficient_scope", scope="` + need.String() + `"`}
	s.api.Logger.WarnContext(r.Context(), "a caller lacks a scope", "caller", w.principal.ID, "scope", need.String(),
		"method", r.Method, "path", r.URL.EscapedPath())
	return newProblem(forbidden, "the scope "+need.String()+" is needed")
}

// authenticate sets the principal.
func (a *api) authenticate(w *answer, r *http.Request) error {
	from := a.address(r)
	p, err := a.identify(r, from)
	switch {
	case err == nil:
		w.principal = p
	case errors.Is(err, errLockedOut):
		w.Header()["Retry-After"] = retryFailed
		return newProblem(lockedOut, "")
	case errors.Is(err, domain.ErrUnauthenticated):
		w.Header()["Www-Authenticate"] = challenge
	case errors.Is(err, domain.ErrBadCredentials):
		w.Header()["Www-Authenticate"] = challengeInvalid
		a.Logger.LogAttrs(r.Context(), slog.LevelWarn, "a caller could not be authenticated", slog.Any("error", err),
			slog.String("from", from), slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()))
	case errors.Is(err, domain.ErrUnavailable):
		a.Logger.WarnContext(r.Context(), "a caller cannot be authenticated now", "error", err)
		return newProblem(keysAway, "")
	}
	return err
}

// identify finds out who calls. Those who are known are not held up by what else is tried from their address.
func (a *api) identify(r *http.Request, from string) (Principal, error) {
	if a.failures.full(from) {
		return Principal{}, errLockedOut
	}
	if a.Known != nil {
		if p, ok := a.Known(r); ok {
			return p, nil
		}
	}
	t, err := a.failures.begin(r.Context(), from)
	if err != nil {
		return Principal{}, err
	}
	failed := true // unless it is known not to have
	defer func() { a.failures.end(from, t, failed) }()
	p, err := a.Authenticate(r)
	failed = errors.Is(err, domain.ErrBadCredentials)
	return p, err
}
