package sqlitelog

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// Broker is the open log. It implements [broker.Broker], [broker.Pinger], [broker.Bounder], [broker.Resumer],
// [broker.Seeker], [broker.Placer], [broker.Describer] and [broker.Trimmer].
type Broker struct {
	file      *file
	logger    *slog.Logger
	writer    *writer
	topics    *topics
	places    *places
	publisher *publisher
	members   *members
	running   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	closing chan struct{}
	// ended is closed, and err set, when Close is done.
	ended chan struct{}
	err   error
}

// Open implements [broker.Open].
func Open(ctx context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
	path, err := fileOf(u, o.DataDir)
	if err != nil {
		return nil, err
	}
	if err := claim(o, filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("open the log %s: %w", path, err)
	}
	reportRecovery(path+walSuffix, o.Logger)
	f, err := openFile(ctx, path, o.LazySync)
	if err != nil {
		return nil, err
	}
	if !o.LazySync {
		if err := preallocate(path + walSuffix); err != nil {
			o.Logger.Warn("no room is set aside: the first commits are slower", "file", path+walSuffix, "error", err)
		}
	}
	byName, err := loadTopics(ctx, f.reads)
	if err != nil {
		_ = f.close() // what is wrong is known
		return nil, opening(path, err)
	}
	return start(f, byName, o), nil
}

func claim(o broker.Options, folder string) error {
	if o.Claim != nil {
		return o.Claim(folder)
	}
	return os.MkdirAll(folder, 0o700) //nolint:gosec // the operator names the folder
}

// start starts the goroutines of the broker, which end with its Close.
func start(f *file, byName map[string]*topic, o broker.Options) *Broker {
	p := newPlaces()
	w := newWriter(f, p, o.Logger)
	t := &topics{writer: w, byName: byName}
	w.topics = t
	b := &Broker{
		file: f, logger: o.Logger, writer: w, topics: t, places: p, members: newMembers(),
		publisher: &publisher{topics: t, writer: w, timeout: o.PublishTimeout, largest: o.MaxMessageBytes + slack},
		closing:   make(chan struct{}), ended: make(chan struct{}),
	}
	go w.run(context.Background())
	if o.LazySync {
		o.Logger.Warn("the log is synced only each second: what was acknowledged in the last second is lost when the machine fails",
			"file", f.path)
		b.running.Go(func() { f.syncEach(b.closing, o.Logger) })
	}
	return b
}

// Publisher implements [broker.Broker].
func (b *Broker) Publisher() message.Publisher { return b.publisher }

// Subscriber implements [broker.Broker].
func (b *Broker) Subscriber(group string) (message.Subscriber, error) {
	return b.SubscriberFrom(group, nil)
}

// SubscriberFrom implements [broker.Resumer].
func (b *Broker) SubscriberFrom(group string, start broker.Start) (message.Subscriber, error) {
	return &subscriber{broker: b, group: group, start: start, closing: make(chan struct{})}, nil
}

// Ping implements [broker.Pinger]: it reads the log, and writes to it when that has failed the last time.
func (b *Broker) Ping(ctx context.Context) error {
	select {
	case <-b.closing:
		return errClosed
	default:
	}
	var one int
	if err := b.file.reads.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT id FROM topics LIMIT 1)").Scan(&one); err != nil {
		return unavailable(err)
	}
	if !b.writer.failed.Load() {
		return nil
	}
	return b.writer.do(ctx, func(ctx context.Context, c *sql.Conn) (func(), error) {
		_, err := c.ExecContext(ctx, "CREATE TABLE probe (x); DROP TABLE probe")
		return func() {}, err
	})
}

// Close implements [broker.Broker]. It ends all subscriptions, writes what waits, and copies the file "-wal" into the database.
func (b *Broker) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if first {
		b.err = b.shut()
		close(b.ended)
	}
	<-b.ended
	return b.err
}

func (b *Broker) shut() error {
	close(b.closing)
	_ = b.publisher.Close() // it has no error
	b.running.Wait()
	b.writer.stop()
	if err := b.file.close(); err != nil {
		return fmt.Errorf("close the log: %w", err)
	}
	return nil
}

// enter counts a subscription that Close must wait for.
func (b *Broker) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	b.running.Add(1)
	return nil
}
