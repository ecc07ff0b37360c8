package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/netstreamflow/netstreamflow/application"
)

// Inspector shows a broker's log from inside, as far as the broker can. It implements [application.LogInspector].
type Inspector struct {
	broker  Broker
	records *Records
}

// NewInspector returns one that reads records with the reader, which is nil for a broker that is not [Replayable].
func NewInspector(b Broker, records *Records) *Inspector {
	return &Inspector{broker: b, records: records}
}

// Topic implements [application.LogInspector].
func (i *Inspector) Topic(ctx context.Context, name string) (application.TopicInfo, error) {
	t := application.TopicInfo{Name: name, Partitions: []application.PartitionInfo{}}
	measured, ok := i.broker.(Bounder)
	if !ok {
		return t, nil
	}
	bounds, err := measured.Bounds(ctx, name) // it makes the topic where it is missing
	if err != nil {
		return t, err
	}
	described := map[int32]application.PartitionInfo{}
	if d, ok := i.broker.(Describer); ok {
		partitions, err := d.Partitions(ctx, name)
		if err != nil {
			return t, err
		}
		for _, p := range partitions {
			described[p.Partition] = p
		}
	}
	for _, n := range slices.Sorted(maps.Keys(bounds)) {
		p := described[n]
		p.Partition, p.Bounds = n, bounds[n]
		t.Partitions = append(t.Partitions, p)
	}
	return t, nil
}

// Group implements [application.LogInspector].
func (i *Inspector) Group(ctx context.Context, topic, name string) (application.GroupInfo, error) {
	if d, ok := i.broker.(Describer); ok {
		return d.Group(ctx, topic, name)
	}
	return application.GroupInfo{Name: name}, nil
}

// Places implements [application.LogInspector].
func (i *Inspector) Places(ctx context.Context, topic, group string) (map[int32]int64, error) {
	if p, ok := i.broker.(Placer); ok {
		return p.Places(ctx, topic, group)
	}
	return nil, nil
}

// Records implements [application.LogInspector].
func (i *Inspector) Records(ctx context.Context, q application.RecordQuery) (application.RecordPage, error) {
	if i.records == nil {
		return application.RecordPage{}, fmt.Errorf("%w: the broker's log cannot be read again", errors.ErrUnsupported)
	}
	return i.records.Page(ctx, q)
}
