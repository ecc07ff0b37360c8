package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// MinSecretBytes is the length of the hash of HS256, below which RFC 7518 allows no secret.
	MinSecretBytes = sha256.Size
	// maxTokenBytes bounds what is parsed before anything about it has been proved.
	maxTokenBytes = 16 << 10
	// A verified token is remembered for this long at most, and so many are.
	rememberFor = time.Minute
	remembered  = 8192
)

// TokenOptions say which tokens are taken. Audience is required, and one source of keys: Secret, KeyFile, JWKSURL, or Issuer
// alone, which is then asked where its keys are (OpenID Connect Discovery).
type TokenOptions struct {
	// Issuer must be that of the token unless empty.
	Issuer string
	// Audience must be among those of the token.
	Audience string
	// Secret tells the one for HS256, with at least [MinSecretBytes]; nil where there is none. It may change: it is asked for each
	// token, from any goroutine.
	Secret func() string
	// SecretFault tells why there is no newer secret, nil where there is none to be had.
	SecretFault func() error
	// KeyFile holds public keys, as a JWK set or in PEM.
	KeyFile string
	// JWKSURL is where the issuer has its keys.
	JWKSURL string
	// Leeway is by how much clocks may differ.
	Leeway time.Duration
	Logger *slog.Logger
}

// Tokens verifies JSON Web Tokens (RFC 7519, RFC 9068). It is safe for concurrent use.
type Tokens struct {
	parser *jwt.Parser
	leeway time.Duration
	keys   keySource
	remote *remoteKeys
	known  *lru.Cache[[sha256.Size]byte, verified]
}

// keySource has the keys that verify tokens.
type keySource interface {
	// keysFor returns the current keys, after it has looked for newer ones where none has the id and that is possible. The
	// error is a [domain.ErrUnavailable].
	keysFor(ctx context.Context, id string) (keySet, error)
	status() KeyStatus
}

// KeyStatus is the state of the keys of tokens.
type KeyStatus struct {
	// Keys is how many there are; Fetched is when they came from the network, zero where they are from elsewhere.
	Keys    int
	Fetched time.Time
	// Err is why there are no newer ones, nil where these are the newest.
	Err error
}

// secretKey is the one of a secret.
type secretKey struct {
	secret func() string
	fault  func() error
}

var errShortSecret = fmt.Errorf("%w: the secret of tokens has fewer than %d bytes", domain.ErrUnavailable, MinSecretBytes)

func (k secretKey) keysFor(context.Context, string) (keySet, error) {
	secret := k.secret()
	if len(secret) < MinSecretBytes {
		return nil, errShortSecret
	}
	return keySet{{algorithms: algorithmOfSecrets, key: []byte(secret)}}, nil
}

func (k secretKey) status() KeyStatus {
	keys, err := k.keysFor(context.Background(), "")
	if err == nil && k.fault != nil {
		err = k.fault()
	}
	return KeyStatus{Keys: len(keys), Err: err}
}

// fileKeys are those of a file.
type fileKeys struct{ *watched[keySet] }

func (k fileKeys) keysFor(context.Context, string) (keySet, error) { return k.get(), nil }

func (k fileKeys) status() KeyStatus { return KeyStatus{Keys: len(k.get()), Err: k.err()} }

// verified is who a token has been found to be of, and until when that holds.
type verified struct {
	caller application.Caller
	until  time.Time
}

// NewTokens returns a verifier. With keys from the network it fetches them in the background until [Tokens.Close]: it does
// not wait for the issuer. The error is that of a file of keys that cannot be used.
func NewTokens(o TokenOptions) (*Tokens, error) {
	t := &Tokens{leeway: o.Leeway}
	algorithms := asymmetric()
	switch {
	case o.Secret != nil:
		algorithms = algorithmOfSecrets
		t.keys = secretKey{o.Secret, o.SecretFault}
	case o.KeyFile != "":
		w, err := watch("the keys of tokens", []string{o.KeyFile}, o.Logger, func(c [][]byte) (keySet, error) { return readKeys(c[0]) })
		if err != nil {
			return nil, err
		}
		t.keys = fileKeys{w}
	default:
		t.remote = newRemoteKeys(o.Issuer, o.JWKSURL, o.Logger)
		t.keys = t.remote
	}
	t.parser = newParser(o, algorithms)
	known, err := lru.New[[sha256.Size]byte, verified](remembered)
	t.known = known
	return t, err
}

func newParser(o TokenOptions, algorithms []string) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithAudience(o.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(o.Leeway), jwt.WithStrictDecoding(),
	}
	if o.Issuer != "" {
		options = append(options, jwt.WithIssuer(o.Issuer))
	}
	return jwt.NewParser(options...)
}

// Status returns the state of the keys, after a look at them where they are in a file.
func (t *Tokens) Status() KeyStatus { return t.keys.status() }

// Close ends the fetching of keys, and waits for it.
func (t *Tokens) Close() {
	if t.remote != nil {
		t.remote.close()
	}
}

// Known returns whose token it is where it has been verified shortly before.
func (t *Tokens) Known(token string) (application.Caller, bool) {
	if len(token) > maxTokenBytes {
		return application.Caller{}, false
	}
	if file, ok := t.keys.(fileKeys); ok {
		file.get() // one that cannot be used is to be noticed while all tokens are known, too
	}
	v, ok := t.known.Get(sha256.Sum256([]byte(token)))
	if !ok || !time.Now().Before(v.until) {
		return application.Caller{}, false
	}
	return v.caller, true
}

// Caller returns whose token it is. The error is a [domain.ErrBadCredentials] that says why without showing the token, or a
// [domain.ErrUnavailable] while there are no keys.
func (t *Tokens) Caller(ctx context.Context, token string) (application.Caller, error) {
	if len(token) > maxTokenBytes {
		return application.Caller{}, refused("the token is too long")
	}
	sum, now := sha256.Sum256([]byte(token)), time.Now()
	if v, ok := t.known.Get(sum); ok && now.Before(v.until) {
		return v.caller, nil
	}
	var c claims
	if _, err := t.parser.ParseWithClaims(token, &c, t.key(ctx)); err != nil {
		return application.Caller{}, reason(err)
	}
	v := verified{caller: c.caller(), until: c.ExpiresAt.Add(t.leeway)}
	if latest := now.Add(rememberFor); v.until.After(latest) {
		v.until = latest
	}
	t.known.Add(sum, v)
	return v.caller, nil
}

// key chooses the keys that may have signed the token.
func (t *Tokens) key(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if _, ok := token.Header["crit"]; ok {
			return nil, refused("the token has extensions that must be understood")
		}
		id, ok := token.Header["kid"].(string)
		if !ok && token.Header["kid"] != nil {
			return nil, refused("the token's key id is no text")
		}
		keys, err := t.keys.keysFor(ctx, id)
		if err != nil {
			return nil, err
		}
		found := keys.find(id, token.Method.Alg())
		if len(found) == 0 {
			return nil, refused(fmt.Sprintf("no key has the id %.64q and the algorithm %s", id, token.Method.Alg()))
		}
		return jwt.VerificationKeySet{Keys: found}, nil
	}
}

// refusal is why credentials prove nothing, for the log.
type refusal struct{ reason string }

func refused(reason string) error { return &refusal{reason} }

func (r *refusal) Error() string { return domain.ErrBadCredentials.Error() + ": " + r.reason }

func (r *refusal) Is(target error) bool { return target == domain.ErrBadCredentials }

// reasons are what the library tells apart. Its own texts may repeat parts of the token.
var reasons = []struct {
	is   error
	text string
}{
	{jwt.ErrTokenMalformed, "the token is malformed"},
	{jwt.ErrTokenSignatureInvalid, "the token's signature, or its algorithm, is not one that is taken"},
	{jwt.ErrTokenExpired, "the token has expired"},
	{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
	{jwt.ErrTokenUsedBeforeIssued, "the token was issued in the future"},
	{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
	{jwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
	{jwt.ErrTokenRequiredClaimMissing, "the token lacks a claim: exp, aud, and iss where an issuer is set, are required"},
	{jwt.ErrTokenUnverifiable, "the token's algorithm is not known"},
}

func reason(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if errors.Is(err, domain.ErrUnavailable) {
		return err
	}
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return refused(r.text)
		}
	}
	return refused("the token's claims are not valid")
}

// claims are those that count here.
type claims struct {
	jwt.RegisteredClaims

	Scope scopes `json:"scope"`
	Scp   scopes `json:"scp"`
}

// Validate holds the subject to the rules of a userId: it may be one, and is logged.
func (c *claims) Validate() error {
	if err := domain.CheckUserID(c.Subject, "/sub"); err != nil {
		return refused("the token's subject (sub) is not 1 to 256 bytes of text")
	}
	return nil
}

func (c *claims) caller() application.Caller {
	return application.Caller{Means: application.ByToken, ID: c.Subject, User: c.Subject, Scopes: append([]string(c.Scope), c.Scp...)}
}

// scopes are a list, or text with spaces between them (RFC 8693); issuers send both.
type scopes []string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *scopes) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(s))
	}
	var joined string
	if err := json.Unmarshal(text, &joined); err != nil {
		return err
	}
	*s = strings.Fields(joined)
	return nil
}
