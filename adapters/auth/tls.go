package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"time"
)

// TLSOptions are the files of a TLS server, in PEM.
type TLSOptions struct {
	// CertFile holds the certificate and the chain above it, KeyFile its key. Where both are empty, the certificate is made
	// for this process, signed by itself, for the names of this machine as it is called from itself.
	CertFile, KeyFile string
	// ClientCAFile holds the CAs one of which must have signed the certificate of a client; where it is empty, clients need
	// none.
	ClientCAFile string
	Logger       *slog.Logger
}

// selfSignedFor is how long a certificate lasts that signs itself.
const selfSignedFor = 365 * 24 * time.Hour

// protocols are those of HTTP; nothing changes them.
var protocols = []string{"h2", "http/1.1"}

// NewTLS returns the configuration of a server for TLS 1.2 and later, with HTTP/2. Each connection that begins has the files
// looked at.
func NewTLS(o TLSOptions) (*tls.Config, error) { return newTLS(o, lookEvery) }

func newTLS(o TLSOptions, every time.Duration) (*tls.Config, error) {
	var own *tls.Certificate
	var files []string
	if o.CertFile == "" {
		var err error
		if own, err = selfSigned(); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(own.Certificate[0])
		o.Logger.Warn("the certificate signs itself: for development only", "sha256", hex.EncodeToString(sum[:]))
	} else {
		files = append(files, o.CertFile, o.KeyFile)
	}
	if o.ClientCAFile != "" {
		files = append(files, o.ClientCAFile)
	}
	w, err := watch("the files of TLS", files, o.Logger, func(contents [][]byte) (*tls.Config, error) {
		return serverConfig(own, contents)
	})
	if err != nil {
		return nil, err
	}
	w.every = every
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// A net/http server that serves both with and without TLS looks here whether it must know HTTP/2.
		NextProtos:         protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return w.get(), nil },
	}, nil
}

// serverConfig makes a configuration of the certificate own, or else of the first two of the contents, and of what is left,
// the clients' CAs.
func serverConfig(own *tls.Certificate, contents [][]byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols}
	if own != nil {
		c.Certificates = []tls.Certificate{*own}
	} else {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return nil, fmt.Errorf("read the certificate and its key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
		contents = contents[2:]
	}
	if len(contents) == 0 {
		return c, nil
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(contents[0]) {
		return nil, errors.New("there is no certificate in the file of the clients' CAs")
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	// A session that goes on would outlive the CA that let the client in.
	c.SessionTicketsDisabled = true
	return c, nil
}

func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "netstreamflow, for development"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
