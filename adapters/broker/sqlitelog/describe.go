package sqlitelog

import (
	"context"
	"fmt"
	"strconv"

	"github.com/netstreamflow/netstreamflow/application"
)

// Partitions implements [broker.Describer]: there is one, and no other server than this process.
func (b *Broker) Partitions(context.Context, string) ([]application.PartitionInfo, error) {
	return []application.PartitionInfo{{Partition: 0}}, nil
}

// Group implements [broker.Describer]. The members are the subscriptions of this process, of which the first one reads.
func (b *Broker) Group(ctx context.Context, topic, group string) (application.GroupInfo, error) {
	t, err := b.topics.ensure(ctx, topic)
	if err != nil {
		return application.GroupInfo{}, fmt.Errorf("group %s: %w", group, err)
	}
	info := application.GroupInfo{Name: group, State: "Empty"}
	for n := range b.members.count(place{topic: t.id, group: group}) {
		info.State = "Stable"
		m := application.MemberInfo{ID: "subscription-" + strconv.Itoa(n+1), Client: "netstreamflow", Host: "this process"}
		if n == 0 {
			m.Assigned = []int32{0}
		}
		info.Members = append(info.Members, m)
	}
	return info, nil
}
