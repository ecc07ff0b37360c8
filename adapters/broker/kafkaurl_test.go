package broker_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

const secret = "s3cret"

func parse(t *testing.T, raw, password string) (broker.KafkaURL, error) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if password == "" {
		return broker.ParseKafkaURL(u, nil)
	}
	return broker.ParseKafkaURL(u, func() string { return password })
}

func TestParseKafkaURL(t *testing.T) {
	plain := broker.KafkaURL{ClientID: "netstreamflow", InFlight: 2000}
	with := func(change func(*broker.KafkaURL)) broker.KafkaURL {
		k := plain
		change(&k)
		return k
	}
	for raw, want := range map[string]broker.KafkaURL{
		"kafka://h":                      with(func(k *broker.KafkaURL) { k.Brokers = []string{"h:9092"} }),
		"kafka://h/":                     with(func(k *broker.KafkaURL) { k.Brokers = []string{"h:9092"} }),
		"kafka://h1:1,h2:2":              with(func(k *broker.KafkaURL) { k.Brokers = []string{"h1:1", "h2:2"} }),
		"kafka://h1,h2:9093":             with(func(k *broker.KafkaURL) { k.Brokers = []string{"h1:9092", "h2:9093"} }),
		"confluent://[::1]":              with(func(k *broker.KafkaURL) { k.Brokers = []string{"[::1]:9092"} }),
		"confluent://[::1]:1":            with(func(k *broker.KafkaURL) { k.Brokers = []string{"[::1]:1"} }),
		"kafka://h?client-id=me":         with(func(k *broker.KafkaURL) { k.Brokers, k.ClientID = []string{"h:9092"}, "me" }),
		"kafka://h?in-flight=1":          with(func(k *broker.KafkaURL) { k.Brokers, k.InFlight = []string{"h:9092"}, 1 }),
		"kafka://h?subscriber=watermill": with(func(k *broker.KafkaURL) { k.Brokers, k.Subscriber = []string{"h:9092"}, "watermill" }),
		"kafka://h?subscriber=ahead":     with(func(k *broker.KafkaURL) { k.Brokers, k.Subscriber = []string{"h:9092"}, "ahead" }),
		"kafka://h?tls=false":            with(func(k *broker.KafkaURL) { k.Brokers = []string{"h:9092"} }),
		"kafka://h?tls=true&ca-file=a&cert-file=b&key-file=c&tls-server-name=d": with(func(k *broker.KafkaURL) {
			k.Brokers, k.TLS, k.CAFile, k.CertFile, k.KeyFile, k.ServerName = []string{"h:9092"}, true, "a", "b", "c", "d"
		}),
	} {
		got, err := parse(t, raw, "")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, error %v, want %+v", raw, got, err, want)
		}
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		got, err := parse(t, "kafka://h?username=alice&sasl="+mechanism, secret)
		if err != nil || got.SASL != mechanism || got.Username != "alice" || got.Password() != secret {
			t.Errorf("%s: got %+v, error %v", mechanism, got, err)
		}
	}
}

func TestParseKafkaURLRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"kafka:":                                "host:port",
		"kafka:h:9092":                          "host:port",
		"kafka://":                              "host:port",
		"kafka:///x":                            "host:port",
		"kafka://h:0":                           `"h:0"`,
		"kafka://h:65536":                       "1 to 65535",
		"kafka://,h:1":                          `""`,
		"kafka://h:1,:2":                        `":2"`,
		"kafka://h:1:2":                         `"h:1:2"`,
		"kafka://h/topic":                       "between the hosts and the parameters",
		"kafka://h#x":                           "#",
		"kafka://alice@h":                       "username",
		"kafka://h?nonsense=1":                  "nonsense",
		"kafka://h?tls=true&tls=true":           "tls 2 times",
		"kafka://h?tls=yes":                     `tls="yes"`,
		"kafka://h?tls":                         `tls=""`,
		"kafka://h?in-flight=0":                 "1 to 100000",
		"kafka://h?in-flight=100001":            "in-flight",
		"kafka://h?in-flight=x":                 "in-flight",
		"kafka://h?client-id=":                  "client-id",
		"kafka://h?sasl=GSSAPI&username=a":      "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
		"kafka://h?sasl=PLAIN":                  "without username",
		"kafka://h?ca-file=a":                   "tls=true",
		"kafka://h?tls=true&cert-file=a":        "key-file",
		"kafka://h?a=%zz":                       "cannot be read",
		"kafka://h?a;b":                         "cannot be read",
		"kafka://h?password=" + secret:          "broker-password",
		"kafka://h?sasl=PLAIN&username=a;b":     "cannot be read",
		"kafka://h?username=a":                  "without sasl",
		"kafka://h?client-id=x&client-id=y":     "2 times",
		"kafka://h?tls=false&tls-server-name=x": "tls=true",
	} {
		_, err := parse(t, raw, secret)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got the error %v, want one with %q", raw, err, want)
		}
	}
	if _, err := parse(t, "kafka://h?sasl=PLAIN&username=a", ""); err == nil || !strings.Contains(err.Error(), "broker-password") {
		t.Errorf("sasl without password: %v", err)
	}
	if _, err := parse(t, "kafka://h", secret); err == nil || !strings.Contains(err.Error(), "no sasl") {
		t.Errorf("password without sasl: %v", err)
	}
}

func TestKafkaURLTLSConfig(t *testing.T) {
	if c, err := (&broker.KafkaURL{}).TLSConfig(); c != nil || err != nil {
		t.Errorf("without TLS: %v, error %v", c, err)
	}
	c, err := (&broker.KafkaURL{TLS: true, ServerName: "name"}).TLSConfig()
	if err != nil || c.ServerName != "name" || c.RootCAs != nil {
		t.Errorf("with TLS: %+v, error %v", c, err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]broker.KafkaURL{
		"cannot be read":        {TLS: true, CAFile: "/no/such/file"},
		"without a certificate": {TLS: true, CAFile: empty},
		"not a pair":            {TLS: true, CertFile: empty, KeyFile: empty},
	} {
		if _, err := k.TLSConfig(); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
