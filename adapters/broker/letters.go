package broker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Letters keeps track of the dead letters in a topic of the broker: it reads the topic in the background, from its first record
// on, and knows which letters are open and where they are. What was done with one is a record in the same topic, so that all
// instances agree and a restart forgets nothing. It implements [application.LetterBox] and is safe for concurrent use.
type Letters struct {
	log     Replayable
	records *Records
	topic   string
	to      string
	logger  *slog.Logger
	// ready is closed when the topic has been read to its end for the first time.
	ready             chan struct{}
	onceReady         sync.Once
	requeued, dropped atomic.Int64

	mu sync.Mutex
	// index answers; reading is the one that the records go to. They differ while the topic is read from the beginning.
	index, reading *letterIndex
}

// NewLetters returns one for the dead-letter topic of the options, which requeues to their topic. Its Run must be called.
func NewLetters(log Replayable, records *Records, o Options) *Letters {
	x := newLetterIndex(maxLetters)
	return &Letters{
		log: log, records: records, topic: o.DeadLetterTopic, to: o.Topic, logger: o.Logger,
		ready: make(chan struct{}), index: x, reading: x,
	}
}

// LettersStatus tells how many dead letters there are.
type LettersStatus struct {
	// Known says that the topic has been read to its end since the start; the numbers are too low before.
	Known bool
	// Open counts the letters that are neither requeued nor dropped; Unlisted are those of them beyond the bound of what is
	// kept track of.
	Open, Unlisted int64
	// Oldest is when the oldest of them was given up, zero without one.
	Oldest time.Time
	// Requeued and Dropped count what this instance has done since its start.
	Requeued, Dropped int64
}

// Status tells how things are.
func (l *Letters) Status() LettersStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LettersStatus{
		Known: l.isReady(), Open: int64(l.index.open) + l.index.unlisted, Unlisted: l.index.unlisted, Oldest: l.index.oldest(),
		Requeued: l.requeued.Load(), Dropped: l.dropped.Load(),
	}
}

// Settled tells, by partition of the topic, up to which offset all letters are settled, so that nobody needs them any more; it is
// empty until the topic has been read.
func (l *Letters) Settled() map[int32]int64 {
	if !l.isReady() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.settledUpTo()
}

func (l *Letters) isReady() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// readPatience is how long a call waits for the topic to be read to its end after a start.
const readPatience = 5 * time.Second

// await returns when the topic has been read to its end.
func (l *Letters) await(ctx context.Context) error {
	if l.isReady() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: the dead letters are still being read: %w", domain.ErrUnavailable, ctx.Err())
	}
}

// Find implements [application.LetterBox].
func (l *Letters) Find(ctx context.Context, q application.LetterQuery) (application.LetterPage, error) {
	if err := l.await(ctx); err != nil {
		return application.LetterPage{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.find(q), nil
}

// Letter implements [application.LetterBox].
func (l *Letters) Letter(ctx context.Context, at application.Position) (letter application.Letter, open bool, err error) {
	if err := l.await(ctx); err != nil {
		return letter, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	letter, open = l.index.letter(at)
	return letter, open, nil
}

// Read implements [application.LetterBox].
func (l *Letters) Read(ctx context.Context, places []application.Position, yield func(application.WholeLetter) (more bool)) error {
	if err := l.await(ctx); err != nil {
		return err
	}
	asked := make(map[application.Position]struct{}, len(places))
	ranges := make(map[int32]application.Bounds, 1)
	for _, at := range places {
		asked[at] = struct{}{}
		r, known := ranges[at.Partition]
		if !known {
			r.First = at.Offset
		}
		ranges[at.Partition] = application.Bounds{First: min(r.First, at.Offset), Next: max(r.Next, at.Offset+1)}
	}
	return l.records.Scan(ctx, l.topic, ranges, func(msg *message.Message) bool {
		record := recordOf(msg)
		_, isMark := markOf(msg)
		if _, is := asked[record.Position]; !is || isMark {
			return true
		}
		delete(asked, record.Position)
		return yield(l.whole(record)) && len(asked) > 0
	})
}

// whole tells what is known of a letter.
func (l *Letters) whole(record application.LogRecord) application.WholeLetter {
	if _, keyed := record.Headers[DeadLetterKey]; !keyed && len(record.Key) == 0 {
		record.Key = nil // not every broker tells none from an empty one
	}
	w := application.WholeLetter{
		Letter: letterOf(record), Record: record, Incomplete: len(record.Value) == 0 && strings.HasPrefix(record.Headers[DeadLetterLeftOut], leftOutValue),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Settled = l.index.isSettled(w.Position)
	return w
}

// Requeue implements [application.LetterBox].
func (l *Letters) Requeue(ctx context.Context, letters []application.WholeLetter) error {
	msgs := make([]*message.Message, len(letters))
	for i, w := range letters {
		msgs[i] = encodeRequeued(w)
	}
	return l.publish(ctx, l.to, msgs)
}

// Settle implements [application.LetterBox].
func (l *Letters) Settle(ctx context.Context, letters []application.Letter, done application.Action, by string) error {
	msgs := make([]*message.Message, len(letters))
	now := time.Now()
	for i, letter := range letters {
		msgs[i] = encodeMark(letter, done, by, now)
	}
	err := l.publish(ctx, l.topic, msgs)
	each := application.EachError(err, len(letters))
	for i, letter := range letters {
		if err := each(i); err != nil {
			l.logger.WarnContext(ctx, "it is not known whether a dead letter is "+string(done), "id", letter.ID(), "by", by, "error", err)
			continue
		}
		l.settled(ctx, letter, done, by)
	}
	return err
}

// settled notes, and logs, what has been done: reading the mark comes later.
func (l *Letters) settled(ctx context.Context, letter application.Letter, done application.Action, by string) {
	l.mu.Lock()
	l.index.close(letter.Position)
	if l.reading != l.index {
		l.reading.close(letter.Position)
	}
	l.mu.Unlock()
	switch done {
	case application.Requeued:
		l.requeued.Add(1)
	case application.Dropped:
		l.dropped.Add(1)
	}
	l.logger.InfoContext(ctx, "dead letter "+string(done), "id", letter.ID(), "by", by, "reason", letter.Reason,
		"origin", letter.From.String(), "first", letter.First.String(), "key", string(letter.Key))
}

// publish publishes the messages. The error has the kind that callers tell apart.
func (l *Letters) publish(ctx context.Context, topic string, msgs []*message.Message) error {
	for _, msg := range msgs {
		msg.SetContext(ctx)
	}
	err := l.log.Publisher().Publish(topic, msgs...)
	if err == nil {
		return nil
	}
	each := application.EachError(err, len(msgs))
	errs := make(application.PublishError, len(msgs))
	for i := range errs {
		errs[i] = asKind(each(i))
	}
	l.logger.WarnContext(ctx, "publishing for dead letters failed", "topic", topic, "records", len(msgs), "error", err)
	return errs.OrNil()
}
