package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteTopics deletes the topics that are there.
func deleteTopics(addr string, topics ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 20_000
	for _, topic := range topics {
		req.TopicNames = append(req.TopicNames, topic)
		row := kmsg.NewDeleteTopicsRequestTopic()
		row.Topic = &topic
		req.Topics = append(req.Topics, row)
	}
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	for _, topic := range res.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("delete a topic: %w", err)
		}
	}
	return nil
}
