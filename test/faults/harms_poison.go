package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// poisons are values that are no events.
var poisons = map[string][]byte{
	"nothing":       {},
	"tombstone":     nil,
	"no JSON":       []byte("no JSON"),
	"half an event": []byte(`{"userId":"user-0","eventType":"fault"`),
	"no user":       []byte(`{"eventType":"fault"}`),
	"an array":      []byte(`[{"userId":"user-0","eventType":"fault"}]`),
	"not UTF-8":     []byte("{\"userId\":\"\xff\",\"eventType\":\"fault\"}"),
	"a lone half":   []byte(`{"userId":"\ud800","eventType":"fault"}`),
	"too deep":      []byte(`{"userId":"user-0","eventType":"fault","metadata":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100) + "}"),
	"bytes":         {0, 1, 2, 3, 255},
}

// poisonHeader tells the records apart.
const poisonHeader = "poison"

// poisonTopic writes records that are no events among those of the load, under the keys of its users.
func poisonTopic(ctx context.Context, r *run) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.servers.kafka))
	if err != nil {
		return err
	}
	defer client.Close()
	for i := range r.times {
		for _, name := range slices.Sorted(maps.Keys(poisons)) {
			record := &kgo.Record{
				Topic: r.name, Key: []byte("user-" + strconv.Itoa(r.harms%r.users)), Value: poisons[name],
				Headers: []kgo.RecordHeader{{Key: poisonHeader, Value: fmt.Appendf(nil, "%s %d", name, i)}},
			}
			if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
				return fmt.Errorf("write a poisonous record: %w", err)
			}
			r.harms++
			wait(ctx, 20*time.Millisecond)
		}
	}
	return nil
}

// checkDeadLetters finds every poisonous record once in the topic for dead letters, with a reason.
func checkDeadLetters(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.servers.kafka), kgo.ConsumeTopics(r.deadLetterTopic()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	found := make(map[string]int)
	for len(found) < r.harms {
		fetched := client.PollFetches(ctx)
		if ctx.Err() != nil {
			r.fault("only %d of %d poisonous records are among the dead letters", len(found), r.harms)
			return nil
		}
		fetched.EachRecord(func(record *kgo.Record) { r.takeDeadLetter(record, found) })
	}
	return nil
}

func (r *run) takeDeadLetter(record *kgo.Record, found map[string]int) {
	headers := make(map[string]string)
	for _, h := range record.Headers {
		headers[h.Key] = string(h.Value)
	}
	name, _, _ := strings.Cut(headers[poisonHeader], " ")
	if found[headers[poisonHeader]]++; found[headers[poisonHeader]] > 1 {
		r.fault("the dead letter %q is there twice", headers[poisonHeader])
	}
	if name == "" || headers["dead-letter-reason"] == "" || headers["dead-letter-topic"] != r.name {
		r.fault("a dead letter at offset %d has the headers %q", record.Offset, headers)
	}
}
