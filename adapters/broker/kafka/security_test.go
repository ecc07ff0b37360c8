package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafka"
	"github.com/netstreamflow/netstreamflow/domain"
)

const user, password = "alice", "alice-secret"

var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// roundTrip publishes and receives, as a member and as a replay, so that each kind of connection is made.
func roundTrip(t *testing.T, addresses []string, query, password string) {
	t.Helper()
	o := options()
	if password != "" {
		o.Password = func() string { return password }
	}
	b := open(t, addresses, query, o)
	msgs := keyed("key", 3, 1)
	publish(t, b, o.Topic, msgs...)
	for _, group := range []string{"", "group-" + o.Topic} {
		messages, _ := subscribe(t, b, group, o.Topic)
		wantIDs(t, acked(t, messages, 3), msgs)
	}
}

// wantRefused checks that a wrong secret makes the server unavailable, and shows up nowhere.
func wantRefused(t *testing.T, addresses []string, query, password string) {
	t.Helper()
	var log strings.Builder
	o := options()
	o.PublishTimeout = time.Second
	if password != "" {
		o.Password = func() string { return password }
	}
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b := open(t, addresses, query, o)
	err := b.Publisher().Publish(o.Topic, keyed("key", 1, 1)...)
	wantUnavailable(t, "publish", err)
	if password != "" && strings.Contains(log.String()+err.Error(), password) {
		t.Errorf("the password is in the error %v or the log %s", err, log.String())
	}
}

func TestSASL(t *testing.T) {
	t.Parallel()
	t.Run("fake", func(t *testing.T) {
		for _, mechanism := range mechanisms {
			t.Run(mechanism, func(t *testing.T) {
				addresses := fake(t, kfake.EnableSASL(), kfake.Superuser(mechanism, user, password)).ListenAddrs()
				roundTrip(t, addresses, "username=alice&sasl="+mechanism, password)
				wantRefused(t, addresses, "username=alice&sasl="+mechanism, "wr0ng-secret")
			})
		}
	})
	t.Run("real", func(t *testing.T) {
		addresses := []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_SASL")}
		for _, mechanism := range mechanisms {
			t.Run(mechanism, func(t *testing.T) {
				roundTrip(t, addresses, "username=alice&sasl="+mechanism, password)
				wantRefused(t, addresses, "username=alice&sasl="+mechanism, "wr0ng-secret")
			})
		}
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	t.Run("fake", func(t *testing.T) {
		ca, certificate := certify(t, "kafka.example")
		addresses := fake(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}})).ListenAddrs()
		roundTrip(t, addresses, "tls=true&tls-server-name=kafka.example&ca-file="+url.QueryEscape(ca), "")
		wantRefused(t, addresses, "tls=true&tls-server-name=other.example&ca-file="+url.QueryEscape(ca), "")
		wantRefused(t, addresses, "tls=true&tls-server-name=kafka.example", "")
		wantRefused(t, addresses, "", "")
	})
	t.Run("real", func(t *testing.T) {
		addresses := []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_TLS")}
		ca := url.QueryEscape(brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_CA"))
		roundTrip(t, addresses, "tls=true&ca-file="+ca, "")
		wantRefused(t, addresses, "tls=true", "")
		wantRefused(t, addresses, "", "")
		both := []string{brokertest.FromEnvironment(t, "NSF_TEST_KAFKA_SASL_TLS")}
		roundTrip(t, both, "tls=true&sasl=SCRAM-SHA-512&username=alice&ca-file="+ca, password)
	})
}

// certify makes a certificate for the name, signed by itself, and the file to trust it with.
func certify(t *testing.T, name string) (file string, certificate tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestOpenRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"kafka://h?acks=1":                 "acks",
		"kafka://h?tls=true&ca-file=/none": "ca-file",
		"kafka://":                         "host:port",
	} {
		o := options()
		_, err := broker.OpenURL(t.Context(), map[string]broker.Open{"kafka": kafka.Open}, raw, o)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got the error %v, want one with %q", raw, err, want)
		}
	}
}
