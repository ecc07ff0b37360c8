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

// Known returns who makes the request where that is known at once: by a token that has been verified shortly before, or a key.
func (a *Authenticator) Known(r *http.Request) (application.Caller, bool) {
	token, key, err := a.credentials(r)
	switch {
	case err != nil:
		return application.Caller{}, false
	case key != "":
		caller, err := a.callerOfKey(key)
		return caller, err == nil
	}
	return a.Tokens.Known(token)
}

// Caller returns who makes the request. The error is a [domain.ErrUnauthenticated] where the request does not say, a
// [domain.ErrBadCredentials] where it does not prove it, or a [domain.ErrUnavailable] where that cannot be found out now.
// None shows what was sent.
func (a *Authenticator) Caller(r *http.Request) (application.Caller, error) {
	token, key, err := a.credentials(r)
	switch {
	case err != nil:
		return application.Caller{}, err
	case key != "":
		return a.callerOfKey(key)
	}
	return a.Tokens.Caller(r.Context(), token)
}

// credentials returns what the request shows, a token or a key.
func (a *Authenticator) credentials(r *http.Request) (token, key string, err error) {
	bearer, keys := r.Header["Authorization"], r.Header["X-Api-Key"]
	switch {
	case len(bearer)+len(keys) == 0:
		return "", "", domain.ErrUnauthenticated
	case len(bearer)+len(keys) > 1:
		return "", "", refused("there is more than one token or key")
	case len(keys) == 1 && keys[0] == "":
		return "", "", refused("the API key is empty")
	case len(keys) == 1:
		return "", keys[0], nil
	}
	scheme, sent, _ := strings.Cut(bearer[0], " ")
	sent = strings.TrimLeft(sent, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || sent == "":
		return "", "", refused("the Authorization is not Bearer")
	case strings.HasPrefix(sent, keyPrefix) || a.Tokens == nil:
		return "", sent, nil
	}
	return sent, "", nil
}

func (a *Authenticator) callerOfKey(key string) (application.Caller, error) {
	if a.Keys == nil {
		return application.Caller{}, refused("API keys are not taken")
	}
	return a.Keys.Caller(key)
}
