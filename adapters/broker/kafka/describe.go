package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"github.com/netstreamflow/netstreamflow/application"
)

// Partitions implements [broker.Describer].
func (b *Broker) Partitions(ctx context.Context, topic string) ([]application.PartitionInfo, error) {
	return ask(ctx, b, "partitions of "+topic, b.leaders(topic), func() ([]application.PartitionInfo, error) {
		return b.partitions(topic)
	})
}

// Group implements [broker.Describer].
func (b *Broker) Group(ctx context.Context, topic, group string) (application.GroupInfo, error) {
	coordinator := func() { _ = b.client.RefreshCoordinator(group) }
	return ask(ctx, b, "group "+group, coordinator, func() (application.GroupInfo, error) { return b.group(topic, group) })
}

func (b *Broker) partitions(topic string) ([]application.PartitionInfo, error) {
	admin, err := sarama.NewClusterAdminFromClient(b.client)
	if err != nil {
		return nil, err
	}
	topics, err := admin.DescribeTopics([]string{topic})
	if err != nil {
		return nil, err
	}
	var all []application.PartitionInfo
	for _, t := range topics {
		if t.Err != sarama.ErrNoError {
			return nil, t.Err
		}
		for _, p := range t.Partitions {
			all = append(all, application.PartitionInfo{Partition: p.ID, Leader: p.Leader, Replicas: p.Replicas, InSync: p.Isr})
		}
	}
	return all, nil
}

func (b *Broker) group(topic, group string) (application.GroupInfo, error) {
	admin, err := sarama.NewClusterAdminFromClient(b.client)
	if err != nil {
		return application.GroupInfo{}, err
	}
	groups, err := admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return application.GroupInfo{}, err
	}
	info := application.GroupInfo{Name: group}
	for _, g := range groups {
		if g.Err == sarama.ErrGroupIDNotFound {
			info.State = "Dead" // as servers of earlier versions call it
			continue
		}
		if g.Err != sarama.ErrNoError {
			return info, g.Err
		}
		info.State = g.State
		for _, m := range g.Members {
			member, err := memberOf(topic, m)
			if err != nil {
				return info, fmt.Errorf("assignment of member %s: %w", m.MemberId, err)
			}
			info.Members = append(info.Members, member)
		}
	}
	slices.SortFunc(info.Members, func(a, b application.MemberInfo) int { return strings.Compare(a.ID, b.ID) })
	return info, nil
}

func memberOf(topic string, m *sarama.GroupMemberDescription) (application.MemberInfo, error) {
	member := application.MemberInfo{ID: m.MemberId, Client: m.ClientId, Host: strings.TrimPrefix(m.ClientHost, "/")}
	assignment, err := m.GetMemberAssignment()
	if err == nil && assignment != nil {
		member.Assigned = slices.Sorted(slices.Values(assignment.Topics[topic]))
	}
	return member, err
}
