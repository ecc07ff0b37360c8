package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// measureBacklogs has the service consume what waits in Kafka, with each driver into each store.
func measureBacklogs(ctx context.Context, o options) error {
	raw := map[string]float64{}
	for _, storeURL := range o.stores {
		var err error
		if raw[storeURL], err = o.rawInsert(ctx, storeURL); err != nil {
			return err
		}
	}
	fmt.Printf("| broker | store | %d waiting events, events/s | raw insert, events/s | ratio |\n|---|---|--:|--:|--:|\n", o.events)
	for _, brokerURL := range o.brokers {
		topic := "scale-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		last, err := publish(ctx, brokerURL, o.folder, topic, o.events)
		if err != nil {
			return fmt.Errorf("fill the topic: %w", err)
		}
		for i, storeURL := range o.stores {
			took, err := o.consume(ctx, brokerURL, storeURL, topic, fmt.Sprintf("%s-%d", topic, i), last)
			if err != nil {
				return fmt.Errorf("%s into %s: %w", kind(brokerURL), kind(storeURL), err)
			}
			fmt.Printf("| %s | %s | %.0f | %.0f | %.2f |\n", kind(brokerURL), kind(storeURL), rate(o.events, took),
				raw[storeURL], rate(o.events, took)/raw[storeURL])
		}
	}
	return nil
}

// consume measures from the moment when the service is ready until the store has all.
func (o options) consume(ctx context.Context, brokerURL, storeURL, topic, group string, last ends) (time.Duration, error) {
	p, err := o.newPlace(ctx, storeURL, group)
	if err != nil {
		return 0, err
	}
	defer p.drop(context.WithoutCancel(ctx)) //nolint:errcheck // the next run drops it
	s, err := o.start(ctx, "--broker", brokerURL, "--store", p.url, "--topic", topic, "--group", group, "--data-dir", filepath.Join(o.folder, group))
	if err != nil {
		return 0, err
	}
	defer s.stop() //nolint:errcheck // it has served
	begun := time.Now()
	for _, e := range last {
		if err := pollFor(ctx, time.Hour, func() (bool, error) { return s.has(e.id) }); err != nil {
			return 0, err
		}
	}
	took := time.Since(begun)
	lines, _, err := s.stream(ctx)
	if err == nil && lines != o.events {
		err = fmt.Errorf("%d events are stored, not %d", lines, o.events)
	}
	return took, err
}
