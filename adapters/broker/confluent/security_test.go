//go:build cgo

package confluent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

const user, password = "alice", "alice-secret"

var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

func TestSASLOnFake(t *testing.T) {
	options := []kfake.Opt{kfake.EnableSASL()}
	for _, m := range mechanisms {
		options = append(options, kfake.Superuser(m, user, password))
	}
	servers := addresses(fake(t, options...))
	for _, m := range mechanisms {
		t.Run(m, func(t *testing.T) { testSecure(t, "confluent://"+servers+"?sasl="+m+"&username="+user, password) })
	}
}

func TestSASLOnKafka(t *testing.T) {
	servers := brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_SASL")
	for _, m := range mechanisms {
		t.Run(m, func(t *testing.T) { testSecure(t, "confluent://"+servers+"?sasl="+m+"&username="+user, password) })
	}
}

func TestTLSOnFake(t *testing.T) {
	config, ca := certificate(t)
	servers := addresses(fake(t, kfake.TLS(config)))
	testSecure(t, "confluent://"+servers+"?tls=true&ca-file="+url.QueryEscape(ca), "")
	t.Run("UnknownAuthority", func(t *testing.T) {
		_, other := certificate(t)
		o := benchOptions()
		o.PublishTimeout = time.Second
		b := openTest(t, "confluent://"+servers+"?tls=true&ca-file="+url.QueryEscape(other), o)
		if err := b.Publisher().Publish(o.Topic, keyed(1)...); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got the error %v", err)
		}
	})
}

func TestTLSOnKafka(t *testing.T) {
	servers := brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_TLS")
	testSecure(t, "confluent://"+servers+"?tls=true&ca-file="+url.QueryEscape(brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_CA")), "")
}

func TestSASLOverTLSOnKafka(t *testing.T) {
	servers, ca := brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_SASL_TLS"), brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_CA")
	testSecure(t, "confluent://"+servers+"?tls=true&sasl=SCRAM-SHA-512&username="+user+"&ca-file="+url.QueryEscape(ca), password)
}

// testSecure publishes and reads as a member of a group.
func testSecure(t *testing.T, rawURL, password string) {
	t.Helper()
	o := benchOptions()
	if password != "" {
		o.Password = func() string { return password }
	}
	b := openTest(t, rawURL, o)
	publish(t, b, o.Topic, 10, 1)
	_, msgs := subscribe(t, b, "group-"+o.Topic, o.Topic)
	for range 10 {
		next(t, msgs).Ack()
	}
}

// TestPasswordStaysSecret fails to log in with a password that nobody may see.
func TestPasswordStaysSecret(t *testing.T) {
	const secret = "s3cr3t-that-is-wrong"
	for _, m := range mechanisms {
		t.Run(m, func(t *testing.T) {
			servers := addresses(fake(t, kfake.EnableSASL(), kfake.Superuser(m, user, password)))
			var seen log
			o := benchOptions()
			o.Password, o.PublishTimeout = func() string { return secret }, time.Second
			o.Logger = slog.New(slog.NewTextHandler(&seen, &slog.HandlerOptions{Level: slog.LevelDebug}))
			b := openTest(t, "confluent://"+servers+"?sasl="+m+"&username="+user, o)
			err := b.Publisher().Publish(o.Topic, keyed(1)...)
			if !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "SASL") {
				t.Errorf("got the error %v", err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if text := seen.String(); !strings.Contains(text, "librdkafka") || strings.Contains(text, secret) {
				t.Errorf("the log is %s", text)
			}
		})
	}
}

// TestBadURL checks that what librdkafka cannot do is found by Open.
func TestBadURL(t *testing.T) {
	_, ca := certificate(t)
	for name, query := range map[string]string{
		"ServerName": "tls=true&tls-server-name=other",
		"NoFile":     "tls=true&ca-file=/does/not/exist",
		"NoKey":      "tls=true&cert-file=" + url.QueryEscape(ca) + "&key-file=" + url.QueryEscape(ca),
		"Unknown":    "acks=0",
	} {
		t.Run(name, func(t *testing.T) {
			u := &url.URL{Scheme: "confluent", Host: "localhost:9092", RawQuery: query}
			if b, err := Open(t.Context(), u, broker.Options{}); b != nil || !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("got the error %v", err)
			}
		})
	}
}

// log is a buffer that may be written to while it is read.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// certificate makes a server's certificate for 127.0.0.1 and the file that clients trust it by.
func certificate(t *testing.T) (config *tls.Config, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}
