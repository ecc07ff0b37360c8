package sqlitelog

import (
	"context"
	"fmt"
)

// Size implements [broker.Sizer].
func (b *Broker) Size(ctx context.Context, topic string) (int64, error) {
	t, err := b.topics.ensure(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", topic, err)
	}
	e, _ := t.look()
	return e.through - e.before, nil
}
