package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/netstreamflow/netstreamflow/domain"
)

// KafkaURL is what the URL of a Kafka cluster says, such as
// kafka://h1:9092,h2:9092?tls=true&sasl=SCRAM-SHA-512&username=alice. It is the same for every driver that speaks to Kafka.
type KafkaURL struct {
	// Brokers are the addresses, each host:port.
	Brokers []string
	// ClientID names the client in the servers' logs and quotas (client-id).
	ClientID string
	// InFlight is how many messages of one partition are delivered ahead of their acks (in-flight).
	InFlight int
	// Subscriber names the one to receive with (subscriber): [AheadSubscriber], [WatermillSubscriber], or "" where the URL does
	// not say, which is the first.
	Subscriber string
	// TLS says that connections are encrypted (tls). CAFile holds the certificates that are trusted instead of the system's
	// (ca-file), CertFile and KeyFile the client's own (cert-file, key-file), all in PEM. ServerName is the name in the servers'
	// certificates where it is not that of the address (tls-server-name).
	TLS               bool
	CAFile            string
	CertFile, KeyFile string
	ServerName        string
	// SASL is the mechanism, "" for none (sasl); Username is the URL's (username), Password that of the options, nil without
	// SASL.
	SASL     string
	Username string
	Password func() string
}

// Defaults and limits of a Kafka URL's parameters.
const (
	defaultKafkaPort = "9092"
	defaultClientID  = "netstreamflow"
	defaultInFlight  = 2000
	maxInFlight      = 100_000
)

// The subscribers to choose from: the driver's own, which delivers ahead of acks, and watermill-kafka's, which waits for each.
const (
	AheadSubscriber     = "ahead"
	WatermillSubscriber = "watermill"
)

var saslMechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// kafkaParameters says how each parameter of the URL is read; the error tells what is allowed.
var kafkaParameters = map[string]func(k *KafkaURL, value string) (allowed string){
	"client-id":       func(k *KafkaURL, v string) string { return setText(&k.ClientID, v) },
	"in-flight":       setInFlight,
	"subscriber":      setSubscriber,
	"tls":             setTLS,
	"ca-file":         func(k *KafkaURL, v string) string { return setText(&k.CAFile, v) },
	"cert-file":       func(k *KafkaURL, v string) string { return setText(&k.CertFile, v) },
	"key-file":        func(k *KafkaURL, v string) string { return setText(&k.KeyFile, v) },
	"tls-server-name": func(k *KafkaURL, v string) string { return setText(&k.ServerName, v) },
	"sasl":            setSASL,
	"username":        func(k *KafkaURL, v string) string { return setText(&k.Username, v) },
}

// ParseKafkaURL reads the URL; password tells what goes with its user name, nil where nothing does. The error is a [domain.ErrInvalid] that names the
// parameter and what is allowed, and never holds a secret.
func ParseKafkaURL(u *url.URL, password func() string) (KafkaURL, error) {
	k := KafkaURL{ClientID: defaultClientID, InFlight: defaultInFlight, Password: password}
	if u.Opaque != "" || u.Host == "" {
		return KafkaURL{}, domain.Invalid("", "must name the brokers, as "+u.Scheme+"://host:port,host:port")
	}
	if u.User != nil {
		return KafkaURL{}, domain.Invalid("", "has a user before the hosts: it belongs into the parameter username")
	}
	if strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return KafkaURL{}, domain.Invalid("", "has something between the hosts and the parameters, or a #: neither is allowed")
	}
	for address := range strings.SplitSeq(u.Host, ",") {
		broker, err := kafkaAddress(address)
		if err != nil {
			return KafkaURL{}, err
		}
		k.Brokers = append(k.Brokers, broker)
	}
	if err := k.setParameters(u.RawQuery); err != nil {
		return KafkaURL{}, err
	}
	if wrong := k.contradiction(); wrong != "" {
		return KafkaURL{}, domain.Invalid("", wrong)
	}
	return k, nil
}

// kafkaAddress completes and checks one address.
func kafkaAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil && !strings.Contains(strings.TrimSuffix(address, "]"), "]:") {
		host, port, err = net.SplitHostPort(address + ":" + defaultKafkaPort)
	}
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || host == "" || strings.ContainsAny(host, " \t/?#@") {
		return "", domain.Invalid("", fmt.Sprintf("has the address %q: host:port is allowed, the port being 1 to 65535", address))
	}
	return net.JoinHostPort(host, port), nil
}

func (k *KafkaURL) setParameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return domain.Invalid("", "has parameters that cannot be read: name=value is allowed, separated by &")
	}
	for name, given := range values {
		set := kafkaParameters[name]
		switch {
		case name == "password":
			return domain.Invalid("", "holds a password: passwords come from the setting broker-password")
		case set == nil:
			return domain.Invalid("", fmt.Sprintf("has the unknown parameter %q: %s are allowed", name, parameterNames()))
		case len(given) > 1:
			return domain.Invalid("", fmt.Sprintf("has the parameter %s %d times: once is allowed", name, len(given)))
		}
		if allowed := set(k, given[0]); allowed != "" {
			return domain.Invalid("", fmt.Sprintf("has %s=%q: %s allowed", name, given[0], allowed))
		}
	}
	return nil
}

func parameterNames() string {
	names := make([]string, 0, len(kafkaParameters))
	for name := range kafkaParameters {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func setText(field *string, value string) (allowed string) {
	if value == "" {
		return "anything but nothing is"
	}
	*field = value
	return ""
}

func setInFlight(k *KafkaURL, value string) (allowed string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxInFlight {
		return fmt.Sprintf("1 to %d are", maxInFlight)
	}
	k.InFlight = n
	return ""
}

func setSubscriber(k *KafkaURL, value string) (allowed string) {
	if value != AheadSubscriber && value != WatermillSubscriber {
		return AheadSubscriber + " and " + WatermillSubscriber + " are"
	}
	k.Subscriber = value
	return ""
}

func setTLS(k *KafkaURL, value string) (allowed string) {
	if value != "true" && value != "false" {
		return "true and false are"
	}
	k.TLS = value == "true"
	return ""
}

func setSASL(k *KafkaURL, value string) (allowed string) {
	if !slices.Contains(saslMechanisms, value) {
		return strings.Join(saslMechanisms, ", ") + " are"
	}
	k.SASL = value
	return ""
}

// contradiction says which parameters do not go together.
func (k *KafkaURL) contradiction() string {
	switch {
	case !k.TLS && k.CAFile+k.CertFile+k.KeyFile+k.ServerName != "":
		return "has parameters for TLS without tls=true"
	case (k.CertFile == "") != (k.KeyFile == ""):
		return "has one of cert-file and key-file: both are needed, or none"
	case k.SASL == "" && k.Username != "":
		return "has a username without sasl: " + strings.Join(saslMechanisms, ", ") + " are allowed"
	case k.SASL == "" && k.Password != nil:
		return "has no sasl, but a password is set: " + strings.Join(saslMechanisms, ", ") + " are allowed"
	case k.SASL != "" && k.Username == "":
		return "has sasl without username"
	case k.SASL != "" && k.Password == nil:
		return "has sasl, but no password is set: it comes from the setting broker-password"
	}
	return ""
}

// TLSConfig reads the files and returns what Go's TLS needs, nil without TLS.
func (k *KafkaURL) TLSConfig() (*tls.Config, error) {
	if !k.TLS {
		return nil, nil //nolint:nilnil // no configuration is the configuration without TLS
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: k.ServerName}
	if k.CAFile != "" {
		pem, err := os.ReadFile(k.CAFile)
		if err != nil {
			return nil, domain.Invalid("", "has a ca-file that cannot be read: "+err.Error())
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, domain.Invalid("", fmt.Sprintf("has ca-file=%q without a certificate: PEM is allowed", k.CAFile))
		}
	}
	if k.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(k.CertFile, k.KeyFile)
		if err != nil {
			return nil, domain.Invalid("", "has a cert-file and key-file that are not a pair: "+err.Error())
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
