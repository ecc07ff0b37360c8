package auth

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// stale looks at the files, and says whether they cannot be read as they are now: then an earlier state is in use.
func (w *watched[T]) stale() bool {
	w.get()
	return w.err() != nil
}

// Stale says whether the file cannot be read as it is now: then earlier keys are in use.
func (k *APIKeys) Stale() bool { return k.keys.stale() }

// Stale says whether the file of keys, where there is one, cannot be read as it is now: then earlier keys are in use.
func (t *Tokens) Stale() (stale, known bool) {
	file, known := t.keys.(fileKeys)
	return known && file.stale(), known
}

// CertificateExpiry returns when the certificate that a configuration of [NewTLS] shows now is no longer good; zero if it has none.
func CertificateExpiry(c *tls.Config) time.Time {
	now, err := c.GetConfigForClient(nil)
	if err != nil || len(now.Certificates) == 0 {
		return time.Time{}
	}
	leaf, err := x509.ParseCertificate(now.Certificates[0].Certificate[0])
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}
