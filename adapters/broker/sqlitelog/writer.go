package sqlitelog

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// queue is how many calls may wait for the writer before another one waits for room.
	queue = 1024
	// batchRecords and batchBytes bound one transaction; the call that goes over them is its last.
	batchRecords = 4096
	batchBytes   = 8 << 20
	// placesEvery is how long a group's place may wait, and placesPause how often it goes along with appended records.
	placesEvery = time.Second
	placesPause = 100 * time.Millisecond
)

// writer is the one goroutine that writes. While one transaction is under way the next batch gathers; when it is on disk, the
// writer takes all that waits.
type writer struct {
	file   *file
	places *places
	topics *topics
	logger *slog.Logger

	appends chan *appending
	steps   chan *step
	closing chan struct{}
	stopped chan struct{}

	// session is nil after a failure, until the connection has been made again.
	session *session
	batch   []*appending
	placed  time.Time
	// failed says that the last transaction did.
	failed atomic.Bool
}

// step is anything else that is written, in a transaction of its own. done is called after the commit, by the writer.
type step struct {
	ctx   context.Context //nolint:containedctx // a step waits in a queue on behalf of its call
	write func(ctx context.Context, c *sql.Conn) (done func(), err error)
	err   chan error
}

func newWriter(f *file, p *places, logger *slog.Logger) *writer {
	return &writer{
		file: f, places: p, logger: logger,
		appends: make(chan *appending, queue), steps: make(chan *step),
		closing: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// do has the writer write the step, and returns when it is on disk. When ctx ends first, it may be there all the same.
func (w *writer) do(ctx context.Context, write func(context.Context, *sql.Conn) (func(), error)) error {
	s := &step{ctx: ctx, write: write, err: make(chan error, 1)}
	select {
	case w.steps <- s:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-w.stopped:
		return errClosed
	}
	select {
	case err := <-s.err:
		return unavailable(err)
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// run writes until stop. A transaction that has begun is not interrupted: ctx has no end.
func (w *writer) run(ctx context.Context) {
	defer close(w.stopped)
	ticker := time.NewTicker(placesEvery)
	defer ticker.Stop()
	for {
		select {
		case a := <-w.appends:
			w.append(ctx, a)
		case s := <-w.steps:
			w.step(ctx, s)
		case <-ticker.C:
			w.keepPlaces(ctx)
		case <-w.closing:
			w.finish(ctx)
			return
		}
	}
}

// stop ends the writer, after what waits for it.
func (w *writer) stop() {
	close(w.closing)
	<-w.stopped
}

func (w *writer) finish(ctx context.Context) {
	for {
		select {
		case a := <-w.appends:
			w.append(ctx, a)
		default:
			w.keepPlaces(ctx)
			if w.session != nil {
				w.session.release()
			}
			return
		}
	}
}

// append writes all that waits, a's records first.
func (w *writer) append(ctx context.Context, a *appending) {
	settle(w.appends)
	w.batch = gather(append(w.batch[:0], a), w.appends)
	now := time.Now()
	staged := make(map[*topic]ends, 1)
	var moved map[place]int64
	if now.Sub(w.placed) >= placesPause {
		moved = w.places.waiting()
	}
	err := w.transaction(ctx, func() error {
		if err := w.insert(ctx, staged, now.UnixMilli()); err != nil {
			return err
		}
		return w.session.write(ctx, moved)
	})
	if err == nil {
		for t, e := range staged {
			t.set(e)
		}
		w.wrote(moved)
	}
	for _, a := range w.batch {
		a.err = unavailable(err)
		close(a.done)
	}
	clear(w.batch)
}

// settle lets those callers go first that the last commit has woken: else the first of them would have a transaction of its
// own, and all others would wait for it. It returns when no more come, and waits for no time.
func settle(queue <-chan *appending) {
	const most = 64
	for n, turns := -1, 0; turns < most && n != len(queue); turns++ {
		n = len(queue)
		runtime.Gosched()
	}
}

// gather adds what waits in the queue, up to a batch.
func gather(batch []*appending, queue <-chan *appending) []*appending {
	count, size := len(batch[0].records), batch[0].size
	for count < batchRecords && size < batchBytes {
		select {
		case a := <-queue:
			batch = append(batch, a)
			count += len(a.records)
			size += a.size
		default:
			return batch
		}
	}
	return batch
}

// insert inserts the records of the batch. Those of several calls for one topic go together.
func (w *writer) insert(ctx context.Context, staged map[*topic]ends, milliseconds int64) error {
	rows := make(map[*topic][]record, 1)
	for _, a := range w.batch {
		e, known := staged[a.topic]
		if !known {
			e, _ = a.topic.look()
			staged[a.topic] = e
		}
		a.first, a.milliseconds = e.next+int64(len(rows[a.topic])), milliseconds
		if !a.abandoned.Load() {
			rows[a.topic] = append(rows[a.topic], a.records...)
		}
	}
	for t, records := range rows {
		e, err := w.session.insert(ctx, t, staged[t], milliseconds, records)
		if err != nil {
			return err
		}
		staged[t] = e
	}
	return nil
}

func (w *writer) step(ctx context.Context, s *step) {
	if err := s.ctx.Err(); err != nil {
		s.err <- err // nobody waits for it
		return
	}
	var done func()
	err := w.transaction(ctx, func() (err error) {
		done, err = s.write(ctx, w.session.conn)
		return err
	})
	if err == nil {
		done()
	}
	s.err <- err
}

// keepPlaces writes the places that have moved.
func (w *writer) keepPlaces(ctx context.Context) {
	moved := w.places.waiting()
	if len(moved) == 0 {
		return
	}
	err := w.transaction(ctx, func() error { return w.session.write(ctx, moved) })
	if err != nil {
		w.logger.Warn("the places of groups could not be kept; trying again", "error", err)
		return
	}
	w.wrote(moved)
}

func (w *writer) wrote(moved map[place]int64) {
	if len(moved) > 0 {
		w.places.written(moved)
		w.placed = time.Now()
	}
}

// transaction runs do in a transaction. After a failure, unless the disk was simply full, the connection is made again, and
// what is known of the log is read from it.
func (w *writer) transaction(ctx context.Context, do func() error) error {
	err := w.connect(ctx)
	if err == nil {
		var uncertain bool
		uncertain, err = w.session.transaction(ctx, do)
		if err != nil && (uncertain || !hasCode(err, codeFull)) {
			w.session.discard()
			w.session = nil
		}
	}
	w.failed.Store(err != nil)
	return err
}

func (w *writer) connect(ctx context.Context) error {
	if w.session != nil {
		return nil
	}
	s, err := newSession(ctx, w.file.writes)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	for _, t := range w.topics.all() {
		e, err := readEnds(ctx, s.conn, t.id)
		if err != nil {
			s.discard()
			return err
		}
		if now, _ := t.look(); now != e {
			t.set(e)
		}
	}
	w.session = s
	return nil
}

// flush writes the places that have moved, and returns when they are on disk.
func (w *writer) flush(ctx context.Context) error {
	moved := w.places.waiting()
	if len(moved) == 0 {
		return nil
	}
	return w.do(ctx, func(ctx context.Context, _ *sql.Conn) (func(), error) {
		return func() { w.wrote(moved) }, w.session.write(ctx, moved)
	})
}
