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

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
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
	// Password tells what goes with the user name of the URL; nil where nothing does. It may change: it is asked whenever a
	// connection is made, from any goroutine.
	Password func() string
	// DataDir is the folder for brokers that keep files, unless their URL names another one.
	DataDir string
	// Claim makes a folder and locks it against other processes. A broker that keeps files calls it with their folder before
	// it opens one.
	Claim func(folder string) error
	// LazySync lets a broker that keeps files acknowledge what may be lost when the machine, not only the process, ends: a
	// second's worth at most.
	LazySync bool
	Logger   *slog.Logger
	// Breaker is the policy of the circuit breakers of a [Log]; the zero value is the default.
	Breaker circuit.Policy

	// Headers returns what the messages of a publication carry beside the headers of every event, such as the trace that it is
	// part of; nil: nothing. The context is that of the publication. Nothing may change what it returns.
	Headers func(ctx context.Context) map[string]string
	// Observe is told of each call of the driver's publisher that a [Log] makes; nil: nobody is. It is called by several
	// goroutines, and must not wait.
	Observe func(Publication)
	// Retried is told of each time that a driver sends records again as the broker had not taken them; nil: nobody is. It is
	// called by several goroutines, and must not wait.
	Retried func()
}

// NoteRetry tells [Options.Retried].
func (o Options) NoteRetry() {
	if o.Retried != nil {
		o.Retried()
	}
}

// Publication is one call of a driver's publisher, by which the events of many requests go to the log.
type Publication struct {
	// Events is how many there were.
	Events int
	// Took is how long the call took.
	Took time.Duration
	// Err is nil where all are in the log.
	Err error
}

// Broker is an open broker. Publisher and subscribers are closed before it. It may implement [Pinger], [Bounder], [Resumer],
// [Seeker], [Placer], [Describer], [Trimmer], [Sizer], [Laned] and [Volatile].
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

// Start tells where a receiver stands in a topic: by partition, the offset of the next record that it wants.
type Start func(ctx context.Context, topic string) (map[int32]int64, error)

// Resumer is a broker whose subscribers can begin where their receiver stands.
type Resumer interface {
	// SubscriberFrom is [Broker.Subscriber] for a receiver that keeps places of its own. start is asked whenever partitions
	// are assigned, and again after a pause while it fails. A member of a group begins a partition at the earlier of the
	// group's place and start's, so that a receiver which has lost what it had gets it again; with group "" it begins at
	// start's. A partition that start does not name begins at its first record, and so does one whose place is not in the log.
	SubscriberFrom(group string, start Start) (message.Subscriber, error)
}

// Seeker is a broker that finds records by time.
type Seeker interface {
	// OffsetsAt returns for each partition the offset of its first record of the time or later, or the one that its next
	// record will get where there is none.
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error)
}

// Placer is a broker that tells a group's place.
type Placer interface {
	// Places returns for each partition the offset behind the last record that the group has committed; a partition of which
	// it has none is not there.
	Places(ctx context.Context, topic, group string) (map[int32]int64, error)
}

// Describer is a broker that knows of its servers, or of who consumes.
type Describer interface {
	// Partitions tells which servers have the partitions of the topic, without their bounds.
	Partitions(ctx context.Context, topic string) ([]application.PartitionInfo, error)
	// Group describes a consumer group, with what its members have of the topic. One that is not there has no members.
	Group(ctx context.Context, topic, group string) (application.GroupInfo, error)
}

// Trimmer is a broker whose log does not see to its own retention.
type Trimmer interface {
	// Trim removes records from the oldest on that were made before the time (unless zero) or are more than the last bytes of
	// values and keys (unless 0), and returns how many. It removes nothing from the offsets of taken on, and nothing of a
	// partition that taken does not name.
	Trim(ctx context.Context, topic string, before time.Time, bytes int64, taken map[int32]int64) (removed int64, err error)
}

// Sizer is a broker that knows how much its log holds.
type Sizer interface {
	// Size returns how many bytes the values and keys of a topic's records have.
	Size(ctx context.Context, topic string) (bytes int64, err error)
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

// Driver returns the driver that the URL's scheme names.
func Driver(drivers map[string]Open, rawURL string) (Open, error) {
	scheme, _, found := strings.Cut(rawURL, ":")
	if open := drivers[strings.ToLower(scheme)]; found && open != nil {
		return open, nil
	}
	return nil, domain.Invalid("", fmt.Sprintf("must begin with one of %s", schemes(drivers)))
}

// OpenURL opens the driver that the URL's scheme names.
func OpenURL(ctx context.Context, drivers map[string]Open, rawURL string, o Options) (Broker, error) {
	open, err := Driver(drivers, rawURL)
	if err != nil {
		return nil, err
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
