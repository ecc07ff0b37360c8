package netstreamflow

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/adapters/secret"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// Values of Auth.
const (
	authNone   = "none"
	authJWT    = "jwt"
	authAPIKey = "api-key"
	authBoth   = authJWT + "," + authAPIKey
)

// DefaultListenTLS is the address for TLS where there is a certificate and no address is set.
const DefaultListenTLS = "127.0.0.1:7000"

const maxLeeway = 10 * time.Minute

// securitySettings are those of who may call, and how.
func (c *Config) securitySettings() []*setting {
	return []*setting{
		{name: "auth", usage: "`how` callers show who they are: none, jwt, api-key or jwt,api-key; none is for addresses of this machine", value: choice(&c.Auth, authNone, authJWT, authAPIKey, authBoth)},
		{name: "insecure-no-auth", usage: "allow --auth none on an address that other machines can reach", value: boolean(&c.InsecureNoAuth)},
		{name: "auth-own-user", usage: "have callers without the scope admin write and read only events whose userId is their own: the subject of the token, or the user of the key", value: boolean(&c.AuthOwnUser)},
		{name: "jwt-issuer", usage: "`URL` of the issuer of tokens, which iss must be; unless another source of keys is set, it is asked where its keys are (OpenID Connect Discovery)", value: text(&c.JWTIssuer, checkIssuer), redact: redactURL},
		{name: "jwt-audience", usage: "`name` of this service in tokens, which aud must hold; required with --auth jwt", value: text(&c.JWTAudience, nil)},
		{name: "jwt-jwks-url", usage: "`URL` of the keys of tokens, as a JWK set", value: text(&c.JWTJWKSURL, checkSecureURL), redact: redactURL},
		{name: "jwt-key-file", usage: "`file` with the public keys of tokens, in PEM or as a JWK set", value: text(&c.JWTKeyFile, nil)},
		{name: "jwt-secret", usage: "`secret` of tokens that are signed with HS256, of at least 32 bytes, or a reference to it", value: text(&c.JWTSecret, checkSecret), secret: true},
		{name: "jwt-leeway", usage: "by how `much` the clocks of this machine and of the issuer may differ", value: orZero(&c.JWTLeeway, duration(&c.JWTLeeway, time.Second, maxLeeway))},
		{name: "api-keys", usage: "`file` with the hashes of API keys, which netstreamflow key new makes", value: text(&c.APIKeys, nil)},
		{name: "listen-tls", usage: "HTTPS `address`; " + DefaultListenTLS + " where a certificate is set", value: text(&c.ListenTLS, orEmpty(checkAddress))},
		{name: "tls-cert", usage: "`file` with the certificate for HTTPS and the chain above it, in PEM", value: text(&c.TLSCert, nil)},
		{name: "tls-key", usage: "`file` with the key of the certificate, in PEM", value: text(&c.TLSKey, nil)},
		{name: "tls-client-ca", usage: "`file` with CAs, in PEM: clients over HTTPS then need a certificate of one of them", value: text(&c.TLSClientCA, nil)},
		{name: "tls-self-signed", usage: "make a certificate for HTTPS that signs itself, for development", value: boolean(&c.TLSSelfSigned)},
		{name: "cors-origin", usage: "`origins` of pages on other sites that may call, such as https://app.example.com,https://example.org, or * for all", value: text(&c.CORSOrigin, checkOrigins)},
	}
}

func checkSecureURL(s string) error {
	if s == "" {
		return nil
	}
	if err := auth.CheckURL(s); err != nil {
		return domain.Invalid("", err.Error())
	}
	return nil
}

// checkIssuer lets pass what is no URL, too: with keys of another source it is a name only.
func checkIssuer(s string) error {
	if len(s) > maxNameBytes {
		return domain.Invalid("", fmt.Sprintf("must have at most %d bytes", maxNameBytes))
	}
	return nil
}

// checkSecret lets pass what may be a reference: its secret is checked when it is there.
func checkSecret(s string) error {
	if s != "" && !strings.Contains(s, ":") {
		return checkSecretBytes(s)
	}
	return nil
}

func checkSecretBytes(s string) error {
	if len(s) < auth.MinSecretBytes {
		return domain.Invalid("", fmt.Sprintf("must have at least %d bytes", auth.MinSecretBytes))
	}
	// Everybody may know a public key, and whoever did could sign tokens with it.
	if strings.HasPrefix(strings.TrimSpace(s), "-----BEGIN ") {
		return domain.Invalid("", "must be a secret, not a key in PEM: --jwt-key-file takes those")
	}
	return nil
}

func checkOrigins(s string) error {
	if s == "" || s == "*" {
		return nil
	}
	for origin := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || origin != u.Scheme+"://"+u.Host || strings.Contains(u.Host, "*") {
			return domain.Invalid("", "must be origins with commas between them, each scheme://host or scheme://host:port, or * alone")
		}
	}
	return nil
}

// origins lists the origins that may call.
func (c *Config) corsOrigins() []string {
	if c.CORSOrigin == "" {
		return nil
	}
	return strings.Split(c.CORSOrigin, ",")
}

// takes says whether callers may show who they are in this way.
func (c *Config) takes(way string) bool { return c.Auth == way || c.Auth == authBoth }

// means are the ways in which callers may show who they are.
func (c *Config) means() []string {
	var all []string
	if c.takes(authJWT) {
		all = append(all, application.ByToken)
	}
	if c.takes(authAPIKey) {
		all = append(all, application.ByKey)
	}
	return all
}

// hasTLS says whether there is a listener for TLS.
func (c *Config) hasTLS() bool { return c.TLSCert != "" || c.TLSSelfSigned }

// listenTLS is the address for TLS, "" for none.
func (c *Config) listenTLS() string {
	if c.ListenTLS == "" && c.hasTLS() {
		return DefaultListenTLS
	}
	return c.ListenTLS
}

// rule is something that must not be: what is wrong with the setting if broken holds.
type rule struct {
	broken          bool
	setting, detail string
}

// checkSecurity refuses settings that do not fit each other: one that has no effect may be what somebody relies on.
func (c *Config) checkSecurity() error {
	for _, rules := range [][]rule{c.rulesOfTokens(), c.rulesOfKeys(), c.rulesOfTLS(), c.rulesOfAddresses()} {
		for _, r := range rules {
			if r.broken {
				return c.setting(r.setting).fault(r.detail)
			}
		}
	}
	return nil
}

func (c *Config) rulesOfTokens() []rule {
	const oneSource = "must be the only source of keys, of --jwt-secret, --jwt-key-file and --jwt-jwks-url"
	if !c.takes(authJWT) {
		const needsJWT = "needs --auth jwt"
		return []rule{
			{c.JWTIssuer != "", "jwt-issuer", needsJWT},
			{c.JWTAudience != "", "jwt-audience", needsJWT},
			{c.JWTJWKSURL != "", "jwt-jwks-url", needsJWT},
			{c.JWTKeyFile != "", "jwt-key-file", needsJWT},
			{c.JWTSecret != "", "jwt-secret", needsJWT},
		}
	}
	discovered := c.JWTSecret == "" && c.JWTKeyFile == "" && c.JWTJWKSURL == ""
	return []rule{
		{c.JWTAudience == "", "jwt-audience", "must name this service as tokens do, with --auth jwt"},
		{discovered && c.JWTIssuer == "", "jwt-issuer", "must be set with --auth jwt, or else one of --jwt-jwks-url, --jwt-key-file and --jwt-secret"},
		{discovered && checkSecureURL(c.JWTIssuer) != nil, "jwt-issuer", "must be an https URL (http is allowed on this machine only) unless another source of keys is set"},
		{c.JWTSecret != "" && c.JWTKeyFile+c.JWTJWKSURL != "", "jwt-secret", oneSource},
		{c.JWTKeyFile != "" && c.JWTJWKSURL != "", "jwt-key-file", oneSource},
	}
}

func (c *Config) rulesOfKeys() []rule {
	return []rule{
		{c.takes(authAPIKey) && c.APIKeys == "", "api-keys", "must name a file with --auth api-key"},
		{!c.takes(authAPIKey) && c.APIKeys != "", "api-keys", "needs --auth api-key"},
		{c.AuthOwnUser && c.isOpen(), "auth-own-user", "needs --auth jwt or api-key"},
	}
}

func (c *Config) rulesOfTLS() []rule {
	const needsCertificate = "needs --tls-cert and --tls-key, or --tls-self-signed"
	return []rule{
		{c.TLSCert != "" && c.TLSKey == "", "tls-key", "must name a file with --tls-cert"},
		{c.TLSKey != "" && c.TLSCert == "", "tls-cert", "must name a file with --tls-key"},
		{c.TLSSelfSigned && c.TLSCert != "", "tls-self-signed", "must be false with --tls-cert"},
		{!c.hasTLS() && c.ListenTLS != "", "listen-tls", needsCertificate},
		{!c.hasTLS() && c.TLSClientCA != "", "tls-client-ca", needsCertificate},
	}
}

// rulesOfAddresses keep the service from being open to others without anybody having said so.
func (c *Config) rulesOfAddresses() []rule {
	unwanted := c.isOpen() && !c.InsecureNoAuth
	return []rule{
		{unwanted && !isLoopback(c.Listen), "listen", needsAuth},
		{unwanted && c.openTLS(), "listen-tls", needsAuth},
	}
}

const needsAuth = "can be reached by other machines: it needs --auth, or --insecure-no-auth to let everybody write and read"

// isOpen says that nobody needs to show who it is.
func (c *Config) isOpen() bool { return c.Auth == authNone }

// openTLS says that other machines can reach the listener for TLS without a certificate.
func (c *Config) openTLS() bool {
	return c.hasTLS() && c.TLSClientCA == "" && !isLoopback(c.listenTLS())
}

// isLoopback says whether only this machine can reach the address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && auth.IsLoopback(host)
}

// provideAuthenticator returns nil where nobody needs to show who it is.
func provideAuthenticator(cfg valid, k *secret.Keeper, logger *slog.Logger) (*auth.Authenticator, func(), error) {
	if cfg.isOpen() {
		return nil, func() {}, nil
	}
	logger = logger.With("part", "auth")
	a, release := &auth.Authenticator{}, func() {}
	var err error
	if cfg.takes(authAPIKey) {
		if a.Keys, err = auth.OpenAPIKeys(cfg.APIKeys, logger); err != nil {
			return nil, nil, cfg.setting("api-keys").fault("must name a readable file of API keys: " + oneLine(err))
		}
	}
	if cfg.takes(authJWT) {
		secret := k.Current("jwt-secret")
		if secret != nil {
			if err := checkSecretBytes(secret()); err != nil {
				return nil, nil, cfg.setting("jwt-secret").fault(err.Error())
			}
		}
		a.Tokens, err = auth.NewTokens(auth.TokenOptions{
			Issuer: cfg.JWTIssuer, Audience: cfg.JWTAudience, Secret: secret, KeyFile: cfg.JWTKeyFile, JWKSURL: cfg.JWTJWKSURL,
			SecretFault: func() error { return k.Fault("jwt-secret") }, Leeway: cfg.JWTLeeway, Logger: logger,
		})
		if err != nil {
			return nil, nil, cfg.setting("jwt-key-file").fault("must name a readable file of public keys: " + oneLine(err))
		}
		release = a.Tokens.Close
	}
	return a, release, nil
}

// provideTLS returns nil where there is no listener for TLS.
func provideTLS(cfg valid, logger *slog.Logger) (*tls.Config, error) {
	if !cfg.hasTLS() {
		return nil, nil
	}
	c, err := auth.NewTLS(auth.TLSOptions{
		CertFile: cfg.TLSCert, KeyFile: cfg.TLSKey, ClientCAFile: cfg.TLSClientCA, Logger: logger.With("part", "tls"),
	})
	if err != nil {
		return nil, cfg.setting("tls-cert").fault("must name, with --tls-key and --tls-client-ca, readable files that fit each other: " + oneLine(err))
	}
	return c, nil
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// authenticate finds out who a request's caller is, for the API; nil where nobody needs to show it.
func authenticate(a *auth.Authenticator) func(*http.Request) (rest.Principal, error) {
	if a == nil {
		return nil
	}
	return func(r *http.Request) (rest.Principal, error) {
		caller, err := a.Caller(r)
		return rest.PrincipalOf(caller), err
	}
}

// known is who a request's caller is where that is known at once.
func known(a *auth.Authenticator) func(*http.Request) (rest.Principal, bool) {
	if a == nil {
		return nil
	}
	return func(r *http.Request) (rest.Principal, bool) {
		caller, ok := a.Known(r)
		return rest.PrincipalOf(caller), ok
	}
}

// APIKey is a key to be made.
type APIKey struct {
	// Name names the caller, Scopes what it may do: events:write, events:read, admin.
	Name   string
	Scopes []string
	// User is the userId of its own events, Name where it is empty.
	User string
}

// NewAPIKey makes a key. It returns the key, which is shown this once, and the entry for the file of the setting api-keys,
// from which it cannot be found. The error is a [domain.ErrInvalid].
func NewAPIKey(k APIKey) (key, entry string, err error) {
	key, e, err := auth.NewKey(auth.KeyEntry{Name: k.Name, Scopes: k.Scopes, User: k.User})
	if err != nil {
		return "", "", domain.Invalid("", err.Error())
	}
	return key, e.String(), nil
}
