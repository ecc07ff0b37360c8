package netstreamflow

import (
	"crypto/tls"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
)

// credentials are what gets old or is changed under the service, and then fails late: a certificate and keys. A scrape reads how they are.
type credentials struct {
	// tls and callers are nil where there are none.
	tls     *tls.Config
	callers *auth.Authenticator
}

func newCredentials(c *tls.Config, a *auth.Authenticator) credentials { return credentials{c, a} }

var (
	descCertificate           = desc("tls_certificate_expiry_timestamp_seconds", "When the certificate for HTTPS is no longer good.")
	descKeysAge               = desc("auth_keys_age_seconds", "How long ago the keys of tokens were fetched from their issuer.")
	descReload                = desc("auth_reload_failed", "Whether a file of keys cannot be read as it is now, so that earlier keys are in use: 1 or 0.", labelFile)
	descriptionsOfCredentials = []*prometheus.Desc{descCertificate, descKeysAge, descReload}
)

// Values of the label file.
const (
	fileAPIKeys = "api_keys"
	fileJWTKeys = "jwt_keys"
)

func (c credentials) collect(to emitter) {
	if c.tls != nil {
		if expiry := auth.CertificateExpiry(c.tls); !expiry.IsZero() {
			to.gauge(descCertificate, float64(expiry.Unix()))
		}
	}
	if c.callers == nil {
		return
	}
	if keys := c.callers.Keys; keys != nil {
		to.gauge(descReload, number(keys.Stale()), fileAPIKeys)
	}
	if tokens := c.callers.Tokens; tokens != nil {
		collectTokens(to, tokens)
	}
}

func collectTokens(to emitter, t *auth.Tokens) {
	if stale, known := t.Stale(); known {
		to.gauge(descReload, number(stale), fileJWTKeys)
	}
	if s := t.Status(); !s.Fetched.IsZero() {
		to.gauge(descKeysAge, time.Since(s.Fetched).Seconds())
	}
}
