package auth

import (
	"net/http"
	"strings"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Authenticator finds out who makes a request, by a token or a key. It is safe for concurrent use.
type Authenticator struct {
	// Tokens is nil where no tokens are taken, Keys where no keys are.
	Tokens *Tokens
	Keys   *APIKeys
}

// Caller returns who makes the request. The error is a [domain.ErrUnauthenticated] where the request does not say, a
// [domain.ErrBadCredentials] where it does not prove it, or a [domain.ErrUnavailable] where that cannot be found out now.
// None shows what was sent.
func (a *Authenticator) Caller(r *http.Request) (application.Caller, error) {
	bearer, keys := r.Header["Authorization"], r.Header["X-Api-Key"]
	switch {
	case len(bearer)+len(keys) == 0:
		return application.Caller{}, domain.ErrUnauthenticated
	case len(bearer)+len(keys) > 1:
		return application.Caller{}, refused("there is more than one token or key")
	case len(keys) == 1:
		return a.callerOfKey(keys[0])
	}
	scheme, credentials, _ := strings.Cut(bearer[0], " ")
	credentials = strings.TrimLeft(credentials, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || credentials == "":
		return application.Caller{}, refused("the Authorization is not Bearer")
	case strings.HasPrefix(credentials, keyPrefix) || a.Tokens == nil:
		return a.callerOfKey(credentials)
	}
	return a.Tokens.Caller(r.Context(), credentials)
}

func (a *Authenticator) callerOfKey(key string) (application.Caller, error) {
	if a.Keys == nil {
		return application.Caller{}, refused("API keys are not taken")
	}
	return a.Keys.Caller(key)
}
