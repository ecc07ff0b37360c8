// Package broker holds what is the same for every broker: how a driver is opened, what goes into a message, and how
// events are published through Watermill. Each driver is a folder of its own.
package broker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Open makes a broker of what a URL names. It checks the URL and the options, but needs no connection: a server that is
// away is met with [domain.ErrUnavailable] by the calls that need it, and is tried again by the next one. An unusable URL
// is a [domain.ErrInvalid] that never repeats a secret.
type Open func(ctx context.Context, u *url.URL, o Options) (Broker, error)

// Options are what every driver is told beside its URL.
type Options struct {
	// Topic and DeadLetterTopic are made with Partitions and ReplicationFactor (0: the broker's default) where missing; an
	// existing topic is never altered.
	Topic, DeadLetterTopic string
	Partitions             int
	ReplicationFactor      int
	// PublishTimeout is how long the broker may take to acknowledge.
	PublishTimeout time.Duration
	// MaxMessageBytes is the size of the largest value that must fit in a record, beside its key and headers.
	MaxMessageBytes int
	// Password goes with the user name of the URL.
	Password string
	// DataDir is the folder for brokers that keep files.
	DataDir string
	Logger  *slog.Logger
}

// Broker is an open broker. Publisher and subscribers are closed before it. It may implement [Pinger], [Bounder], [Laned]
// and [Volatile].
type Broker interface {
	// Publisher returns the one publisher. Its Publish returns when all messages are durable, in the order of the call for
	// messages with the same key (the metadata [KeyMetadata]), and is safe for concurrent use. Where only some failed, the
	// error is an [application.PublishError]. It puts the [application.Origin] of each message that is in the log on the
	// message's context. It gives up within the publish time-out, with [domain.ErrUnavailable]; a message that can never
	// fit is a [domain.ErrTooLarge].
	Publisher() message.Publisher
	// Subscriber returns a new subscriber. As a member of a group it shares the partitions with the other members, goes on
	// where the group stopped (at a group's first start: at the log's first record), and keeps as the group's place only
	// what has been acked without a gap. With group "" it reads the whole log from its first record at each subscription
	// and keeps no place. Records of one partition come in order; each message's context carries its
	// [application.Origin]. Messages are delivered ahead of acks; a nack has the message delivered again, after a pause.
	Subscriber(group string) (message.Subscriber, error)
	// Close releases what the broker holds. It may be repeated.
	Close() error
}

// Pinger is a broker that can be asked whether it works.
type Pinger interface {
	// Ping returns nil when the server answers now.
	Ping(ctx context.Context) error
}

// Bounder is a broker that knows where the partitions of its log begin and end.
type Bounder interface {
	Bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error)
}

// Laned is a broker that gains from several Publish calls at once: one lane for each partition, so that one that has no
// leader holds up no other.
type Laned interface {
	Lanes() int
}

// Volatile is a broker whose log may end with the process.
type Volatile interface {
	Volatile() bool
}

// OpenURL opens the driver that the URL's scheme names.
func OpenURL(ctx context.Context, drivers map[string]Open, rawURL string, o Options) (Broker, error) {
	scheme, _, found := strings.Cut(rawURL, ":")
	open := drivers[strings.ToLower(scheme)]
	if !found || open == nil {
		return nil, domain.Invalid("", fmt.Sprintf("must begin with one of %s", schemes(drivers)))
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, domain.Invalid("", "is not a URL")
	}
	if _, given := u.User.Password(); given {
		return nil, domain.Invalid("", "holds a password: passwords come from the setting broker-password")
	}
	return open(ctx, u, o)
}

func schemes(drivers map[string]Open) string {
	names := slices.Sorted(maps.Keys(drivers))
	for i, n := range names {
		names[i] = n + ":"
	}
	return strings.Join(names, ", ")
}
