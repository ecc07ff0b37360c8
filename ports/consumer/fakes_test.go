package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/ports/consumer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errAway  = fmt.Errorf("%w: away", domain.ErrUnavailable)
	quiet    = slog.New(slog.DiscardHandler)
	atRecord = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
)

// subscriber hands out one channel after another; where there is none, it is away.
type subscriber struct {
	mu       sync.Mutex
	channels []chan *message.Message
	away     int
	closed   bool
}

func (s *subscriber) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away > 0 {
		s.away--
		return nil, errAway
	}
	next := s.channels[0]
	if len(s.channels) > 1 {
		s.channels = s.channels[1:]
	}
	return next, nil
}

func (s *subscriber) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// store notes what it is given; fail decides about each call.
type store struct {
	mu    sync.Mutex
	ids   []string
	taken map[int32]int64
	calls int
	fail  func(call int, entries []application.Entry) error
	// hang has that many calls wait for the end of their context.
	hang int
}

func (s *store) hangs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang--
	return s.hang >= 0
}

func (s *store) Record(ctx context.Context, b application.Batch) (int, error) {
	if s.hangs() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	entries := b.Entries
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.fail != nil {
		if err := s.fail(s.calls, entries); err != nil {
			return 0, err
		}
	}
	if s.taken == nil {
		s.taken = make(map[int32]int64)
	}
	maps.Copy(s.taken, b.Taken)
	for _, e := range entries {
		s.ids = append(s.ids, e.Event.UserID())
	}
	return len(entries), nil
}

func (s *store) Positions(context.Context, string) (map[int32]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.taken), nil
}

func (s *store) users() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.ids...)
}

// letters keeps dead letters; the first calls fail.
type letters struct {
	mu    sync.Mutex
	kept  []application.DeadLetter
	fails int
}

func (l *letters) Keep(_ context.Context, d application.DeadLetter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails > 0 {
		l.fails--
		return errAway
	}
	l.kept = append(l.kept, d)
	return nil
}

func record(partition int32, offset int64, value string) *message.Message {
	msg := message.NewMessage("uuid-"+fmt.Sprint(offset), []byte(value))
	msg.Metadata.Set("trace", "abc")
	msg.SetContext(application.WithOrigin(context.Background(), application.Origin{
		Position: application.Position{Partition: partition, Offset: offset}, Topic: "events", Key: []byte("k"), Time: atRecord,
	}))
	return msg
}

func event(user string) string { return `{"userId":"` + user + `","eventType":"t"}` }

func isAcked(msg *message.Message) bool {
	select {
	case <-msg.Acked():
		return true
	default:
		return false
	}
}

// running is a consumer at work on one channel.
type running struct {
	*consumer.Consumer

	msgs chan *message.Message
	sub  *subscriber
	done chan error
}

func start(ctx context.Context, s *store, o consumer.Options) *running {
	r := &running{msgs: make(chan *message.Message, 100), done: make(chan error, 1)}
	r.sub = &subscriber{channels: []chan *message.Message{r.msgs}}
	if s != nil {
		o.Record = application.NewRecord(s)
	}
	o.Topic, o.Group, o.Logger = "events", "group", quiet
	r.Consumer = consumer.New(r.sub, o)
	go func() { r.done <- r.Run(ctx) }()
	return r
}

var errInvalid = errors.Join(domain.ErrInvalid)
