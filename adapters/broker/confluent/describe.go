//go:build cgo

package confluent

import (
	"context"
	"slices"
	"strings"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/application"
)

// noLeader is the number of no server.
const noLeader = -1

// Partitions implements [broker.Describer].
func (b *Broker) Partitions(ctx context.Context, topic string) ([]application.PartitionInfo, error) {
	found, err := b.admin.partitions(ctx, topic)
	if err != nil {
		return nil, unavailable("partitions of "+topic, err)
	}
	all := make([]application.PartitionInfo, len(found))
	for i, p := range found {
		all[i] = application.PartitionInfo{
			Partition: int32(p.Partition), //nolint:gosec // Kafka's are 32 bits
			Leader:    noLeader, Replicas: servers(p.Replicas), InSync: servers(p.Isr),
		}
		if p.Leader != nil {
			all[i].Leader = int32(p.Leader.ID) //nolint:gosec // Kafka's are 32 bits
		}
	}
	return all, nil
}

func servers(nodes []kafka.Node) []int32 {
	all := make([]int32, len(nodes))
	for i, n := range nodes {
		all[i] = int32(n.ID) //nolint:gosec // Kafka's are 32 bits
	}
	return all
}

// Group implements [broker.Describer].
func (b *Broker) Group(ctx context.Context, topic, group string) (application.GroupInfo, error) {
	info, err := b.admin.group(ctx, topic, group)
	return info, unavailable("group "+group, err)
}

func (a *admin) group(ctx context.Context, topic, group string) (info application.GroupInfo, err error) {
	info.Name = group
	err = a.ask(ctx, func(c *kafka.AdminClient, timeout kafka.AdminOptionRequestTimeout) error {
		result, err := c.DescribeConsumerGroups(ctx, []string{group}, timeout)
		if err != nil {
			return err
		}
		for _, g := range result.ConsumerGroupDescriptions {
			if g.Error.Code() != kafka.ErrNoError && g.Error.Code() != kafka.ErrGroupIDNotFound {
				return g.Error
			}
			info.State = g.State.String()
			for _, m := range g.Members {
				info.Members = append(info.Members, memberOf(topic, m))
			}
		}
		return nil
	})
	slices.SortFunc(info.Members, func(a, b application.MemberInfo) int { return strings.Compare(a.ID, b.ID) })
	return info, err
}

func memberOf(topic string, m kafka.MemberDescription) application.MemberInfo {
	member := application.MemberInfo{ID: m.ConsumerID, Client: m.ClientID, Host: strings.TrimPrefix(m.Host, "/")}
	for _, p := range m.Assignment.TopicPartitions {
		if p.Topic != nil && *p.Topic == topic {
			member.Assigned = append(member.Assigned, p.Partition)
		}
	}
	slices.Sort(member.Assigned)
	return member
}
