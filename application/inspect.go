package application

import (
	"context"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// inspectTimeout bounds a look at the broker.
const inspectTimeout = 10 * time.Second

// How many records a look into a partition shows.
const (
	DefaultRecords = 10
	MaxRecords     = 1000
)

// LogInspector shows a log from inside. It is safe for concurrent use; its calls end with their contexts. A broker that does not
// answer is a [domain.ErrUnavailable].
type LogInspector interface {
	// Topic describes a topic.
	Topic(ctx context.Context, name string) (TopicInfo, error)
	// Group describes a consumer group, and what its members have of the topic. What the broker does not know is left out.
	Group(ctx context.Context, topic, name string) (GroupInfo, error)
	// Places returns for each partition of the topic the offset behind the last record that the group has committed, none
	// where it has not.
	Places(ctx context.Context, topic, group string) (map[int32]int64, error)
	// Records reads records. A partition that is not there is a [domain.ErrNotFound], a log that cannot be read again an
	// [errors.ErrUnsupported].
	Records(ctx context.Context, q RecordQuery) (RecordPage, error)
}

// TopicInfo describes a topic.
type TopicInfo struct {
	Name       string
	Partitions []PartitionInfo
}

// PartitionInfo describes a partition.
type PartitionInfo struct {
	Partition int32
	Bounds
	// Leader, Replicas and InSync name servers. Replicas is empty where the broker has no such thing, and Leader is -1 where
	// there is none now.
	Leader           int32
	Replicas, InSync []int32
}

// GroupInfo describes a consumer group.
type GroupInfo struct {
	Name string
	// State is as the broker calls it, such as Stable; "" where it has no such thing.
	State   string
	Members []MemberInfo
}

// MemberInfo describes a member of a consumer group.
type MemberInfo struct {
	ID, Client, Host string
	// Assigned are the partitions of the main topic that are the member's.
	Assigned []int32
}

// RecordQuery selects records of one partition.
type RecordQuery struct {
	Topic     string
	Partition int32
	// Offset is that of the first record. One before the log's first record stands for that; a negative one counts from the
	// end.
	Offset int64
	// Limit is how many records at most, 0 for [DefaultRecords].
	Limit int
}

// RecordPage is a piece of a partition.
type RecordPage struct {
	Topic     string
	Partition int32

	// Bounds are those of the partition when the call began.
	Bounds
	Records []LogRecord
	// Next is the offset to go on from.
	Next int64
}

// Inspected names what [Inspect] looks at.
type Inspected struct {
	Topic, DeadLetterTopic string
	// Group fills the store; "" for a store that each instance fills by itself.
	Group string
	// OtherGroups are shown, too.
	OtherGroups []string
}

// groups are all groups.
func (n Inspected) groups() []string {
	if n.Group == "" {
		return n.OtherGroups
	}
	return append([]string{n.Group}, n.OtherGroups...)
}

// Inspect looks into the broker.
type Inspect struct {
	log   LogInspector
	store Recorder
	names Inspected
}

// NewInspect returns the use case.
func NewInspect(log LogInspector, store Recorder, names Inspected) *Inspect {
	return &Inspect{log: log, store: store, names: names}
}

// Topology is all that is known of the broker's topics and groups.
type Topology struct {
	Topics []TopicInfo
	Groups []GroupLag
	// Taken is how far the store has taken the main topic, by partition; nil while it does not tell.
	Taken map[int32]int64
}

// GroupLag is a consumer group and how far it is behind in the main topic.
type GroupLag struct {
	GroupInfo

	Places []PlaceLag
	// Lag is that of all partitions together.
	Lag int64
}

// PlaceLag is how far a group is behind in a partition.
type PlaceLag struct {
	Partition int32
	// Committed is the offset behind the last record that the group has committed, -1 for none.
	Committed int64
	// Lag is how many offsets follow it.
	Lag int64
}

// Topology describes the broker.
func (i *Inspect) Topology(ctx context.Context) (t Topology, err error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	for _, name := range []string{i.names.Topic, i.names.DeadLetterTopic} {
		topic, err := i.log.Topic(ctx, name)
		if err != nil {
			return Topology{}, fmt.Errorf("describe topic %s: %w", name, err)
		}
		t.Topics = append(t.Topics, topic)
	}
	for _, name := range i.names.groups() {
		group, err := i.group(ctx, name, t.Topics[0])
		if err != nil {
			return Topology{}, fmt.Errorf("describe group %s: %w", name, err)
		}
		t.Groups = append(t.Groups, group)
	}
	// The store may be away: the broker can be shown all the same.
	t.Taken, _ = i.store.Positions(ctx, i.names.Topic)
	return t, nil
}

func (i *Inspect) group(ctx context.Context, name string, topic TopicInfo) (g GroupLag, err error) {
	if g.GroupInfo, err = i.log.Group(ctx, topic.Name, name); err != nil {
		return g, err
	}
	places, err := i.log.Places(ctx, topic.Name, name)
	if err != nil {
		return g, err
	}
	for _, p := range topic.Partitions {
		committed, known := places[p.Partition]
		if !known {
			committed = -1
		}
		lag := PlaceLag{Partition: p.Partition, Committed: committed, Lag: p.Next - max(p.First, min(committed, p.Next))}
		g.Places = append(g.Places, lag)
		g.Lag += lag.Lag
	}
	return g, nil
}

// Messages returns records of the main topic or, with deadLetters, of the dead letters' one, whatever topic q has.
func (i *Inspect) Messages(ctx context.Context, deadLetters bool, q RecordQuery) (RecordPage, error) {
	q.Topic = i.names.Topic
	if deadLetters {
		q.Topic = i.names.DeadLetterTopic
	}
	if q.Limit == 0 {
		q.Limit = DefaultRecords
	}
	if q.Limit < 1 || q.Limit > MaxRecords {
		return RecordPage{}, domain.Invalid("/limit", fmt.Sprintf("must be a whole number from 1 to %d", MaxRecords))
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	return i.log.Records(ctx, q)
}
