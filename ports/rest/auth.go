package rest

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

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
	if wait := a.failures.wait(from); wait > 0 {
		w.Header()["Retry-After"] = []string{strconv.Itoa(wait)}
		return newProblem(lockedOut, "")
	}
	p, err := a.Authenticate(r)
	switch {
	case err == nil:
		w.principal = p
	case errors.Is(err, domain.ErrUnauthenticated):
		w.Header()["Www-Authenticate"] = challenge
	case errors.Is(err, domain.ErrBadCredentials):
		w.Header()["Www-Authenticate"] = challengeInvalid
		a.failures.add(from)
		a.Logger.LogAttrs(r.Context(), slog.LevelWarn, "a caller could not be authenticated", slog.Any("error", err),
			slog.String("from", from), slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()))
	case errors.Is(err, domain.ErrUnavailable):
		a.Logger.WarnContext(r.Context(), "a caller cannot be authenticated now", "error", err)
		return newProblem(keysAway, "")
	}
	return err
}

// What one address may do wrong: so many failures at once, and one more each failureEvery.
const (
	failureBurst = 20
	failureEvery = time.Second
	// maxFailing bounds how many addresses are remembered; the one that has been quiet for longest is forgotten.
	maxFailing = 16384
)

// failures bounds how fast somebody can try tokens and keys. It is safe for concurrent use.
type failures struct {
	buckets *lru.Cache[string, *rate.Limiter]
}

func newFailures() (*failures, error) {
	buckets, err := lru.New[string, *rate.Limiter](maxFailing)
	return &failures{buckets}, err
}

// wait returns how many seconds the address must wait before it can try again, 0 for not at all.
func (f *failures) wait(from string) int {
	bucket, ok := f.buckets.Get(from)
	if !ok {
		return 0
	}
	if missing := 1 - bucket.Tokens(); missing > 0 {
		return int(math.Ceil(missing * failureEvery.Seconds()))
	}
	return 0
}

// add counts a failure. Those that were tried at the same time may bring the bucket below nothing, which takes longer to
// fill.
func (f *failures) add(from string) {
	bucket := rate.NewLimiter(rate.Every(failureEvery), failureBurst)
	if known, ok, _ := f.buckets.PeekOrAdd(from, bucket); ok {
		bucket = known
	}
	bucket.ReserveN(time.Now(), 1)
}
