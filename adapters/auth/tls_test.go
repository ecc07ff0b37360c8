package auth

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authority signs certificates for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: ecKeys()["ES256"]}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte(name),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.certificate, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue returns a certificate and its key in PEM.
func (a *authority) issue(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	own := ecKeys()["ES384"]
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, own.Public(), a.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(own)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// shake makes a handshake with a server of the configuration and returns what the client has seen.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		there, err := l.Accept()
		if err != nil {
			return
		}
		defer there.Close()
		_ = there.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(there, server)
		if s.Handshake() == nil {
			_, _ = s.Write([]byte{1}) // with TLS 1.3 the client has ended before its certificate was looked at
		}
	}()
	here, err := net.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
	require.NoError(t, err)
	defer here.Close()
	_ = here.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Client(here, client)
	if err = c.Handshake(); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	here.Close()
	<-served
	return c.ConnectionState(), err
}

func TestCertificateIsReadAgain(t *testing.T) {
	ca := newAuthority(t, "ca")
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	put := func(certificate, key []byte) {
		require.NoError(t, os.WriteFile(certFile, certificate, 0o600))
		require.NoError(t, os.WriteFile(keyFile, key, 0o600))
	}
	put(ca.issue(t, "first"))
	log := new(logs)
	server, err := newTLS(TLSOptions{CertFile: certFile, KeyFile: keyFile, Logger: log.logger()}, 0)
	require.NoError(t, err)
	client := &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", NextProtos: []string{"h2"}}
	state, err := shake(t, server, client)
	require.NoError(t, err)
	assert.Equal(t, "first", state.PeerCertificates[0].Subject.CommonName)
	assert.Equal(t, "h2", state.NegotiatedProtocol)
	put(ca.issue(t, "second"))
	state, err = shake(t, server, client)
	require.NoError(t, err)
	assert.Equal(t, "second", state.PeerCertificates[0].Subject.CommonName)
	for _, broken := range []string{"", "broken"} {
		require.NoError(t, os.WriteFile(certFile, []byte(broken), 0o600))
		state, err = shake(t, server, client)
		require.NoError(t, err)
		assert.Equal(t, "second", state.PeerCertificates[0].Subject.CommonName, "the last good one stays")
	}
	assert.Contains(t, log.String(), "cannot be read again")
	assert.NotContains(t, log.String(), "PRIVATE KEY")
}

func TestTLSVersions(t *testing.T) {
	server, err := NewTLS(TLSOptions{Logger: new(logs).logger()})
	require.NoError(t, err)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := shake(t, server, &tls.Config{MinVersion: version, MaxVersion: version, InsecureSkipVerify: true})
		assert.Equal(t, ok, err == nil, tls.VersionName(version))
	}
}

func TestClientCertificates(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	certificate, key := ca.issue(t, "server")
	clientCA := write(t, "clients.pem", ca.pem)
	server, err := newTLS(TLSOptions{
		CertFile: write(t, "tls.crt", certificate), KeyFile: write(t, "tls.key", key), ClientCAFile: clientCA, Logger: new(logs).logger(),
	}, 0)
	require.NoError(t, err)
	pair := func(a *authority) []tls.Certificate {
		c, k := a.issue(t, "client")
		pair, err := tls.X509KeyPair(c, k)
		require.NoError(t, err)
		return []tls.Certificate{pair}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		base := tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		_, err = shake(t, server, &base)
		require.Error(t, err, "without a certificate")
		stranger, known := base.Clone(), base.Clone()
		stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair(other)[0], nil }
		_, err = shake(t, server, stranger)
		require.Error(t, err, "of another CA")
		known.Certificates = pair(ca)
		_, err = shake(t, server, known)
		require.NoError(t, err)
		// The CA is taken out: nobody gets in any more, neither anew nor by a session that goes on.
		require.NoError(t, os.WriteFile(clientCA, other.pem, 0o600))
		_, err = shake(t, server, known)
		require.Error(t, err)
		require.NoError(t, os.WriteFile(clientCA, append(ca.pem, '\n'), 0o600))
	}
}

func TestFilesOfTLSThatAreRefused(t *testing.T) {
	ca := newAuthority(t, "ca")
	certificate, key := ca.issue(t, "server")
	good, goodKey := write(t, "tls.crt", certificate), write(t, "tls.key", key)
	for _, o := range []TLSOptions{
		{CertFile: "/no/such", KeyFile: goodKey}, {CertFile: good, KeyFile: "/no/such"}, {CertFile: good, KeyFile: good},
		{CertFile: write(t, "ca.crt", ca.pem), KeyFile: goodKey}, {CertFile: good, KeyFile: goodKey, ClientCAFile: goodKey},
		{CertFile: good, KeyFile: goodKey, ClientCAFile: "/no/such"}, {ClientCAFile: write(t, "empty", nil)},
	} {
		o.Logger = new(logs).logger()
		_, err := NewTLS(o)
		require.Error(t, err)
	}
}

func TestSelfSigned(t *testing.T) {
	log := new(logs)
	server, err := NewTLS(TLSOptions{Logger: log.logger()})
	require.NoError(t, err)
	state, err := shake(t, server, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	own := state.PeerCertificates[0]
	pool := x509.NewCertPool()
	pool.AddCert(own)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		_, err := own.Verify(x509.VerifyOptions{DNSName: name, Roots: pool})
		require.NoError(t, err)
	}
	assert.Contains(t, log.String(), "signs itself")
}
