package netstreamflow

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// Config is what the service is told. The zero value is not valid: start from [DefaultConfig].
type Config struct {
	// Listen is the HTTP address; port 0 picks a free one.
	Listen string
	// Broker and Store are URLs; their schemes name drivers.
	Broker, Store string
	// BrokerPassword and StorePassword go with the user names of the URLs. Each is the secret, or a reference to where it is,
	// such as file:/run/secrets/kafka; see [Drivers].
	BrokerPassword, StorePassword string
	// SecretsRefresh is how often secrets that are kept elsewhere are fetched again, 0 for never.
	SecretsRefresh time.Duration
	// DataDir is the folder for embedded brokers and stores.
	DataDir string
	// Sync is "always", or "interval" for an embedded log that acknowledges before its file is synced.
	Sync string
	// Retention is how long the store keeps events from when they were accepted, 0 for ever.
	Retention time.Duration
	// LogRetention and LogRetentionBytes bound an embedded log by age and by size, 0 for no bound. What the store has not taken
	// is kept.
	LogRetention      time.Duration
	LogRetentionBytes int64
	// Topic holds the events, Topic.dlq the dead letters; Group is the consumer group.
	Topic, Group string
	// Partitions and ReplicationFactor (0: the broker's default) are used when a topic is made.
	Partitions, ReplicationFactor int
	// PublishTimeout is how long a request waits for the broker's acknowledgement.
	PublishTimeout time.Duration
	// Spool has events wait in a file under DataDir while the broker is away, up to SpoolBytes of them.
	Spool      bool
	SpoolBytes int64
	// MaxBody is the size of one event's body, in bytes.
	MaxBody int64
	// AdminListen is the address for metrics, health and profiles, "" for none; port 0 picks a free one. Where it is the default
	// and taken, the service goes on without. InsecureAdmin lets it be one that other machines may reach.
	AdminListen   string
	InsecureAdmin bool
	// Auth is how callers show who they are: "none", "jwt", "api-key" or "jwt,api-key". InsecureNoAuth allows "none" on
	// addresses that other machines can reach. AuthOwnUser has callers write and read only events of their own user.
	Auth                        string
	InsecureNoAuth, AuthOwnUser bool
	// JWTIssuer and JWTAudience are those of the tokens that are taken. Their keys are those at JWTJWKSURL, in JWTKeyFile, or
	// JWTSecret, and where none is given those that the issuer names. JWTLeeway is by how much clocks may differ.
	JWTIssuer, JWTAudience            string
	JWTJWKSURL, JWTKeyFile, JWTSecret string
	JWTLeeway                         time.Duration
	// APIKeys is the file with the hashes of API keys.
	APIKeys string
	// ListenTLS is the address for TLS; "" is DefaultListenTLS where there is a certificate: in TLSCert and TLSKey, or, for
	// development, one that signs itself. TLSClientCA is the file of the CAs of clients, who then need a certificate.
	ListenTLS                    string
	TLSCert, TLSKey, TLSClientCA string
	TLSSelfSigned                bool
	// CORSOrigin lists origins of pages that may call, with commas between them, or is "*" for all.
	CORSOrigin string
	// RateLimitPublish and RateLimitRead are how many events, and how many requests that read, each caller may have; the zero
	// value is without limit.
	RateLimitPublish, RateLimitRead application.Quota
	// RateLimitStore is the URL of a Redis that instances share the limits through, "" to keep them in this process, and
	// RateLimitStorePassword its password. RateLimitFail is "open" or "closed": whether requests are let through while it is away.
	RateLimitStore, RateLimitStorePassword, RateLimitFail string
	// TrustedProxies may say in headers where a request comes from.
	TrustedProxies []netip.Prefix
	// MaxRequests is how many requests that publish may be in flight, and as many that query; MaxBodyMemory is how many bytes
	// their large bodies and what is made of them may take, MaxConnections how many connections may be open.
	MaxRequests    int
	MaxBodyMemory  int64
	MaxConnections int
	// QueryTimeout is how long the store may take for a query, MaxQueries how many may wait for it.
	// QueryRetries is how often a query is tried again while the store is away.
	QueryTimeout time.Duration
	MaxQueries   int
	QueryRetries int
	// BreakerFailures in a row open a circuit breaker, be it that of publishing to a partition, of queries, or of the Redis with
	// the rate limits; BreakerPause is how long nothing is tried then.
	BreakerFailures int
	BreakerPause    time.Duration
	// LogLevel and LogFormat ("text" or "json") shape the log.
	LogLevel  slog.Level
	LogFormat string
	// LogOutput is where the log goes, nil for standard error. It is not a setting.
	LogOutput io.Writer
	// ShutdownTimeout is how long a graceful end may take.
	ShutdownTimeout time.Duration

	// adminGiven says that AdminListen was set, be it to the default.
	adminGiven bool
	// origins tell by its name where a setting that was given comes from.
	origins map[string]string
	// passedOver are values that were given and that something else goes before.
	passedOver []*setting
}

// Limits of settings.
const (
	maxPartitions  = 10_000
	maxReplication = 100
	maxNameBytes   = 200
	maxBodyLimit   = 16 << 20
	maxRetention   = 100 * 365 * 24 * time.Hour
	minLogBytes    = 1 << 20
	maxLogBytes    = 1 << 50
	maxSpool       = 1 << 50
	maxRefresh     = 24 * time.Hour
	maxRetries     = 10
	maxFailures    = 1000
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Listen:          "127.0.0.1:5000",
		Broker:          "sqlite-log:",
		Store:           "sqlite:",
		DataDir:         "./data",
		Sync:            syncAlways,
		Topic:           "user-activity-events",
		Group:           "netstreamflow",
		Partitions:      6,
		PublishTimeout:  10 * time.Second,
		SpoolBytes:      1 << 30,
		SecretsRefresh:  5 * time.Minute,
		MaxBody:         1 << 20,
		AdminListen:     "127.0.0.1:5001",
		Auth:            authNone,
		JWTLeeway:       time.Minute,
		RateLimitFail:   failOpen,
		MaxRequests:     rest.DefaultMaxRequests,
		MaxBodyMemory:   rest.DefaultMaxBodies,
		MaxConnections:  rest.DefaultMaxConnections,
		QueryTimeout:    10 * time.Second,
		MaxQueries:      256,
		QueryRetries:    2,
		BreakerFailures: circuit.DefaultPolicy().Failures,
		BreakerPause:    circuit.DefaultPolicy().Pause,
		LogLevel:        slog.LevelInfo,
		LogFormat:       defaultLogFormat(),
		ShutdownTimeout: 30 * time.Second,
	}
}

// defaultLogFormat is text for a person at a terminal and JSON for a machine.
func defaultLogFormat() string {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return formatText
	}
	return formatJSON
}

// Values of LogFormat.
const (
	formatText = "text"
	formatJSON = "json"
)

// Values of Sync.
const (
	syncAlways   = "always"
	syncInterval = "interval"
)

// DeadLetterTopic is where records go that can never be processed.
func (c Config) DeadLetterTopic() string { return c.Topic + ".dlq" }

// Validate checks every setting but the URLs, which their drivers check; the error is a [*SettingError].
func (c Config) Validate() error {
	for _, s := range c.settings() {
		if err := s.set(s.get()); err != nil {
			return s.fault(err.Error())
		}
	}
	if err := c.checkAdmin(); err != nil {
		return err
	}
	if err := c.checkSpool(); err != nil {
		return err
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	return c.checkSecurity()
}

// checkAdmin refuses an admin listener that others may reach, unless that is what the operator wants.
func (c *Config) checkAdmin() error {
	if c.AdminListen == "" || c.InsecureAdmin || isLoopback(c.AdminListen) {
		return nil
	}
	return c.setting("admin-listen").fault("must be on the loopback interface, such as 127.0.0.1:5001: whoever reaches it reads metrics " +
		"and memory profiles; --insecure-admin allows it")
}

// checkSpool refuses a spool in front of a log that is on this machine itself.
func (c *Config) checkSpool() error {
	scheme, _, _ := strings.Cut(strings.ToLower(c.Broker), ":")
	if !c.Spool || scheme != schemeMemory && scheme != schemeEmbedded {
		return nil
	}
	return c.setting("spool").fault("must be false with --broker " + scheme + ": as that is on this machine itself and is never away")
}

// setting returns the one of the name.
func (c *Config) setting(name string) *setting {
	for _, s := range c.settings() {
		if s.name == name {
			return s
		}
	}
	return nil
}

// settings lists every setting with its rules. Each is bound to c.
func (c *Config) settings() []*setting {
	all := []*setting{
		{name: "listen", usage: "HTTP `address`; port 0 picks a free port", value: text(&c.Listen, checkAddress)},
		{name: "broker", usage: "broker `URL`: memory:, sqlite-log:, kafka://host:port,… or confluent://host:port,…", value: text(&c.Broker, checkURL), redact: redactURL},
		{name: "broker-password", usage: "`password` of the user name in the broker URL, or a reference to it", value: text(&c.BrokerPassword, nil), secret: true},
		{name: "store", usage: "store `URL`: memory:, sqlite:[PATH] or postgres://user@host/database", value: text(&c.Store, checkStore), redact: redactURL},
		{name: "store-password", usage: "`password` of the user name in the store URL, or a reference to it", value: text(&c.StorePassword, nil), secret: true},
		{name: "sync", usage: "`when` the embedded log syncs its file: always, before it acknowledges, or interval, each second, which may lose a second of acknowledged events when the machine fails", value: choice(&c.Sync, syncAlways, syncInterval)},
		{name: "retention", usage: "how `long` the store keeps an event after it was accepted, such as 720h; 0 is for ever", value: orZero(&c.Retention, duration(&c.Retention, time.Second, maxRetention))},
		{name: "log-retention", usage: "how `long` the embedded log keeps what the store has taken; 0 is for ever", value: orZero(&c.LogRetention, duration(&c.LogRetention, time.Second, maxRetention))},
		{name: "log-retention-bytes", usage: "size in `bytes` above which the embedded log drops the oldest of what the store has taken; 0 is without bound", value: orZero(&c.LogRetentionBytes, integer(&c.LogRetentionBytes, minLogBytes, maxLogBytes))},
		{name: "data-dir", usage: "`folder` in which embedded brokers and stores keep their files", value: text(&c.DataDir, checkNotEmpty)},
		{name: "topic", usage: "`topic` of the events; its dead letters go to TOPIC.dlq", value: text(&c.Topic, checkName)},
		{name: "group", usage: "consumer `group`", value: text(&c.Group, checkNotEmpty)},
		{name: "partitions", usage: "`number` of partitions of a topic that is made; an existing one is never altered", value: integer(&c.Partitions, 1, maxPartitions)},
		{name: "replication-factor", usage: "`number` of replicas of a topic that is made; 0 is the broker's default", value: integer(&c.ReplicationFactor, 0, maxReplication)},
		{name: "publish-timeout", usage: "how `long` a request waits for the broker's acknowledgement", value: duration(&c.PublishTimeout, 10*time.Millisecond, 10*time.Minute)},
		{name: "spool", usage: "take events into a file under the data folder while the broker is away, and forward them when it is back", value: boolean(&c.Spool)},
		{name: "spool-bytes", usage: "how many `bytes` of events may wait there", value: integer(&c.SpoolBytes, 1<<20, maxSpool)},
		{name: "max-body", usage: "size of an event's body in `bytes`", value: integer(&c.MaxBody, 1024, maxBodyLimit)},
		{name: "admin-listen", usage: "`address` for metrics, health and profiles; empty for none, port 0 picks a free port", value: text(&c.AdminListen, orEmpty(checkAddress))},
		{name: "insecure-admin", usage: "let admin-listen be an address that other machines may reach", value: boolean(&c.InsecureAdmin)},
		{name: "secrets-refresh", usage: "how `often` secrets that are kept elsewhere are fetched again; 0 is never, and files are looked at each second in any case", value: orZero(&c.SecretsRefresh, duration(&c.SecretsRefresh, time.Second, maxRefresh))},
		{name: "rate-limit-publish", usage: "`rate` of the events that each caller may publish, such as 100/s, or 500/5s for more at once; 0 is without limit", value: quota(&c.RateLimitPublish)},
		{name: "rate-limit-read", usage: "`rate` of the requests that each caller may read with, 0 is without limit", value: quota(&c.RateLimitRead)},
		{name: "rate-limit-store", usage: "`URL` of a Redis that instances share the limits through, redis://[user@]host:port[/database] or rediss://…; empty is to keep them in this process", value: text(&c.RateLimitStore, checkLimitStore), redact: redactURL},
		{name: "rate-limit-store-password", usage: "`password` of that Redis, or a reference to it", value: text(&c.RateLimitStorePassword, nil), secret: true},
		{name: "rate-limit-fail", usage: "`what` to do while that Redis is away: open, let requests through, or closed, refuse them", value: choice(&c.RateLimitFail, failOpen, failClosed)},
		{name: "trusted-proxies", usage: "`networks` of the proxies that may say in Forwarded or X-Forwarded-For where a request comes from, with commas between them", value: networks(&c.TrustedProxies)},
		{name: "max-requests", usage: "`number` of requests that may be in flight, those that publish and those that read each; more get 503 at once", value: integer(&c.MaxRequests, 1, maxInFlight)},
		{name: "max-body-memory", usage: "`bytes` that the large bodies in flight, and what is made of them, may take together; the next gets 503 at once", value: integer(&c.MaxBodyMemory, 1<<20, maxMemory)},
		{name: "max-connections", usage: "`number` of connections that may be open; above it the one that has waited longest for a request is closed, or the new one where none waits", value: integer(&c.MaxConnections, 1, maxConnections)},
		{name: "query-timeout", usage: "how `long` the store may take for a query, or for the first event of one without limit", value: duration(&c.QueryTimeout, 10*time.Millisecond, 10*time.Minute)},
		{name: "max-queries", usage: "`number` of queries that may wait for their first event, and half as many without limit that may be under way; more get 503 at once", value: integer(&c.MaxQueries, 2, maxInFlight)},
		{name: "query-retries", usage: "how `often` a query is tried again that found the store away", value: integer(&c.QueryRetries, 0, maxRetries)},
		{name: "breaker-failures", usage: "`number` of failures in a row that open a circuit breaker: of publishing to a partition, of queries, or of the Redis of the limits", value: integer(&c.BreakerFailures, 1, maxFailures)},
		{name: "breaker-pause", usage: "how `long` an open circuit breaker refuses all calls before one tries again, as the Retry-After of the 503 says", value: duration(&c.BreakerPause, 100*time.Millisecond, maxPause)},
	}
	all = append(all, c.securitySettings()...)
	all = append(all, []*setting{
		{name: "log-level", usage: "least `level` that is logged: debug, info, warn or error", value: level(&c.LogLevel)},
		{name: "log-format", usage: "`format` of the log on standard error: text or json", value: choice(&c.LogFormat, formatText, formatJSON)},
		{name: "shutdown-timeout", usage: "how `long` a graceful end may take", value: duration(&c.ShutdownTimeout, time.Second, time.Hour)},
	}...)
	for _, s := range all {
		s.spelling = spellingOf(s.name, c.origins[s.name])
	}
	return all
}

func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" && s[0] != ':' {
		return domain.Invalid("", "must be host:port with a port of 0 to 65535, such as 127.0.0.1:5000")
	}
	return nil
}

func orEmpty(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

func checkNotEmpty(s string) error {
	if s == "" {
		return domain.Invalid("", "must not be empty")
	}
	return nil
}

// checkName holds a topic to Kafka's rule, with room for the suffix of the dead letters.
func checkName(s string) error {
	ok := s != "" && len(s) <= maxNameBytes && s != "." && s != ".."
	for _, r := range s {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	}
	if !ok {
		return domain.Invalid("", "must be 1 to 200 of the characters a-z A-Z 0-9 . _ -")
	}
	return nil
}
