package sqlitelog

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/netstreamflow/netstreamflow/domain"
)

// topics are those of the log, by name.
type topics struct {
	writer *writer

	mu     sync.RWMutex
	byName map[string]*topic
}

// loadTopics reads the topics from the file.
func loadTopics(ctx context.Context, q queryer) (map[string]*topic, error) {
	rows, err := q.QueryContext(ctx, "SELECT id, name FROM topics")
	if err != nil {
		return nil, fmt.Errorf("read the topics: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	names := map[int64]string{}
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, fmt.Errorf("read the topics: %w", err)
		}
		names[id] = name
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the topics: %w", err)
	}
	found := make(map[string]*topic, len(names))
	for id, name := range names {
		e, err := readEnds(ctx, q, id)
		if err != nil {
			return nil, err
		}
		found[name] = newTopic(id, name, e)
	}
	return found, nil
}

// ensure returns the topic of the name, which is made where it is missing.
func (t *topics) ensure(ctx context.Context, name string) (*topic, error) {
	if found := t.find(name); found != nil {
		return found, nil
	}
	if name == "" {
		return nil, errNoName()
	}
	err := t.writer.do(ctx, func(ctx context.Context, c *sql.Conn) (func(), error) { return t.create(ctx, c, name) })
	if err != nil {
		return nil, fmt.Errorf("make the topic %s: %w", name, err)
	}
	return t.find(name), nil
}

func errNoName() error { return domain.Invalid("", "a topic must have a name") }

func (t *topics) find(name string) *topic {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byName[name]
}

// all returns the topics.
func (t *topics) all() []*topic {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]*topic, 0, len(t.byName))
	for _, each := range t.byName {
		all = append(all, each)
	}
	return all
}

// create is a step of the writer: nobody else makes the topic meanwhile.
func (t *topics) create(ctx context.Context, c *sql.Conn, name string) (done func(), err error) {
	if t.find(name) != nil {
		return func() {}, nil
	}
	result, err := c.ExecContext(ctx, "INSERT INTO topics (name) VALUES (?)", name)
	if err != nil {
		return nil, err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return nil, err
	}
	if err := createRecords(ctx, c, id); err != nil {
		return nil, err
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.byName[name] = newTopic(id, name, ends{})
	}, nil
}
