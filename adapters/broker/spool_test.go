package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// remote is a broker that can go away; it notes what it took.
type remote struct {
	fakeBroker

	// answer says what becomes of a publication to a topic, nil for success.
	answer atomic.Pointer[func(topic, user string) error]
	// delay is how long a publication takes.
	delay time.Duration
	// letterRoom is how large the values of dead letters may be, 0 for any.
	letterRoom int
	taken      []*message.Message
	topic      []string
}

func newRemote(lanes int) *remote { return &remote{fakeBroker: fakeBroker{lanes: lanes}} }

func (r *remote) Publisher() message.Publisher { return r }

func (r *remote) Publish(topic string, msgs ...*message.Message) error {
	if r.delay > 0 {
		<-time.After(r.delay)
	}
	if answer := r.answer.Load(); answer != nil {
		if err := (*answer)(topic, msgs[0].Metadata[broker.KeyMetadata]); err != nil {
			return err
		}
	}
	if topic == "topic.dlq" && r.letterRoom > 0 && len(msgs[0].Payload) > r.letterRoom {
		return domain.ErrTooLarge
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, msg := range msgs {
		r.taken, r.topic = append(r.taken, msg), append(r.topic, topic)
	}
	return nil
}

// does has the broker answer so from now on.
func (r *remote) does(answer func(topic, user string) error) { r.answer.Store(&answer) }

func (r *remote) goes()  { r.does(func(string, string) error { return errAway }) }
func (r *remote) comes() { r.answer.Store(nil) }

// ofUser returns the ids of a topic by user, in the order in which they came first, and how many came again.
func (r *remote) ofUser(topic string) (ids map[string][]string, again int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids = map[string][]string{}
	seen := map[string]bool{}
	for i, msg := range r.taken {
		if r.topic[i] != topic {
			continue
		}
		if seen[msg.UUID] {
			again++
			continue
		}
		seen[msg.UUID] = true
		user := msg.Metadata[broker.KeyMetadata]
		ids[user] = append(ids[user], msg.UUID)
	}
	return ids, again
}

// spool opens a spool on the file; end closes all of it.
func (r *remote) spool(t *testing.T, file string, limit int64, timeout time.Duration) (s *broker.Spool, end func()) {
	t.Helper()
	o := broker.SpoolOptions{Bytes: limit, Options: broker.Options{
		Topic: "topic", DeadLetterTopic: "topic.dlq", PublishTimeout: broker.SpoolTimeout(timeout),
		MaxMessageBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}}
	local, err := sqlitelog.Open(t.Context(), &url.URL{Scheme: "sqlite-log", Path: file}, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	o.PublishTimeout = timeout
	l := broker.NewLog(r, o.Options)
	s, err = broker.NewSpool(t.Context(), l, r, local.(broker.LocalLog), o)
	if err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		s.Close()
		l.Close()
		if err := errors.Join(local.Publisher().Close(), local.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return s, end
}

// awaitDirect waits until everything is forwarded.
func awaitDirect(t *testing.T, s *broker.Spool) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		status := s.Status(t.Context())
		if !status.Spooling {
			if status.Events != 0 || status.Bytes != 0 {
				t.Errorf("all is forwarded, but %+v", status)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not all is forwarded: %+v", status)
		}
	}
}

func publishTo(t *testing.T, s *broker.Spool, batch []domain.Event) (application.Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return s.Publish(ctx, batch)
}

func ids(batch []domain.Event) (ids []string) {
	for _, e := range batch {
		ids = append(ids, e.ID().String())
	}
	return ids
}

// TestSpoolKeepsTheOrderOfAUser has the broker come and go under many users. All is taken, and what is taken comes to the
// broker, in order for each user.
func TestSpoolKeepsTheOrderOfAUser(t *testing.T) {
	const users, outages = 24, 4
	r := newRemote(4)
	r.delay = time.Millisecond
	s, _ := r.spool(t, filepath.Join(t.TempDir(), "spool.db"), 1<<30, timeout)
	var callers sync.WaitGroup
	var spooled, direct atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	accepted := make([][]string, users)
	for u := range users {
		callers.Go(func() {
			for ctx.Err() == nil {
				batch := events(t, fmt.Sprint("user ", u), 3, 1)
				receipt, err := publishTo(t, s, batch)
				if err != nil {
					t.Error(err)
				}
				spooled.Add(int64(receipt.Spooled))
				direct.Add(int64(len(batch) - receipt.Spooled))
				accepted[u] = append(accepted[u], ids(batch)...)
			}
		})
	}
	await := func(n *atomic.Int64) {
		for goal, end := n.Load()+200, time.Now().Add(patience); n.Load() < goal; <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("nothing is published any more: %d spooled, %d directly, %+v", spooled.Load(), direct.Load(), s.Status(t.Context()))
			}
		}
	}
	for range outages {
		await(&direct)
		r.goes()
		await(&spooled)
		r.comes()
	}
	await(&direct)
	stop()
	callers.Wait()
	awaitDirect(t, s)
	got, _ := r.ofUser("topic")
	for u, want := range accepted {
		if !slices.Equal(got[fmt.Sprint("user ", u)], want) {
			t.Errorf("user %d: the broker has another order, or not all", u)
		}
	}
}

// TestSpoolOfAnEarlierRun closes a spool that is not empty, and lets two others, on copies of its file, forward what it has, as
// after a crash between the broker's ack and the commit.
func TestSpoolOfAnEarlierRun(t *testing.T) {
	r := newRemote(2)
	r.goes()
	file := filepath.Join(t.TempDir(), "spool.db")
	s, end := r.spool(t, file, 1<<30, timeout)
	want := map[string][]string{}
	for n := range 30 {
		user := fmt.Sprint(n % 7)
		batch := events(t, user, 100, 100)
		if receipt, err := publishTo(t, s, batch); err != nil || receipt.Spooled != 100 {
			t.Fatalf("got %+v, %v", receipt, err)
		}
		want[user] = append(want[user], ids(batch)...)
	}
	before := s.Status(t.Context())
	if before.Events != 3000 || before.Bytes < 3000*100 || !before.Spooling {
		t.Errorf("got %+v", before)
	}
	end()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again.db")
	if err := os.WriteFile(again, content, 0o600); err != nil {
		t.Fatal(err)
	}

	s, end = r.spool(t, file, 1<<30, timeout)
	if got := s.Status(t.Context()); got.Events != before.Events || got.Bytes < before.Bytes || !got.Spooling {
		t.Errorf("after a restart: %+v, want %+v", got, before)
	}
	next := events(t, "0", 1, 1)
	if receipt, err := publishTo(t, s, next); err != nil || receipt.Spooled != 1 {
		t.Errorf("a new event has overtaken: %+v, %v", receipt, err)
	}
	r.comes()
	awaitDirect(t, s)
	end()
	want["0"] = append(want["0"], ids(next)...)

	s, _ = r.spool(t, again, 1<<30, timeout)
	awaitDirect(t, s)
	got, repeated := r.ofUser("topic")
	for user, ids := range want {
		if !slices.Equal(got[user], ids) {
			t.Errorf("user %s: the broker has %d events, want these %d in order", user, len(got[user]), len(ids))
		}
	}
	if repeated != 3000 {
		t.Errorf("%d events came again, want those of the copy", repeated)
	}
	if receipt, err := publishTo(t, s, events(t, "0", 1, 1)); err != nil || receipt.Spooled != 0 {
		t.Errorf("when all is forwarded: %+v, %v", receipt, err)
	}
	s, _ = r.spool(t, file, 1<<30, timeout)
	if got := s.Status(t.Context()); got.Events != 0 || got.Bytes != 0 || got.Spooling {
		t.Errorf("the file was not trimmed: %+v", got)
	}
}

// TestSpoolFull refuses what has no room, and takes events again when there is.
func TestSpoolFull(t *testing.T) {
	r := newRemote(1)
	r.goes()
	s, _ := r.spool(t, filepath.Join(t.TempDir(), "spool.db"), 20_000, timeout)
	var taken int
	for ; taken < 100; taken++ {
		if _, err := publishTo(t, s, events(t, "user", 1, 1000)); err != nil {
			wantAway(t, "full", err)
			break
		}
	}
	if taken < 10 || taken > 20 {
		t.Errorf("%d events of 1 kB fit in 20 kB", taken)
	}
	if status := s.Status(t.Context()); status.Events != int64(taken) || status.Bytes > 20_000 {
		t.Errorf("got %+v", status)
	}
	r.comes()
	awaitDirect(t, s)
	r.goes()
	if receipt, err := publishTo(t, s, events(t, "user", 1, 1000)); err != nil || receipt.Spooled != 1 {
		t.Errorf("there is room: %+v, %v", receipt, err)
	}
}

// TestSpoolOfOneLane has one partition without leader: the others are published directly.
func TestSpoolOfOneLane(t *testing.T) {
	users := map[int]string{}
	for i := 0; len(users) < 2; i++ {
		users[broker.Partition(fmt.Append(nil, i), 2)] = fmt.Sprint(i)
	}
	r := newRemote(2)
	r.does(func(_, user string) error {
		if user == users[0] {
			return errAway
		}
		return nil
	})
	s, _ := r.spool(t, filepath.Join(t.TempDir(), "spool.db"), 1<<30, timeout)
	for range 3 {
		both := append(events(t, users[0], 2, 1), events(t, users[1], 3, 1)...)
		if receipt, err := publishTo(t, s, both); err != nil || receipt.Spooled != 2 {
			t.Errorf("got %+v, %v", receipt, err)
		}
	}
	r.comes()
	awaitDirect(t, s)
	if got, again := r.ofUser("topic"); len(got[users[0]]) != 6 || len(got[users[1]]) != 9 || again != 0 {
		t.Errorf("the broker has %v, %d again", got, again)
	}
}

// TestSpoolKeepsToTheTimeout has a broker that hangs: the event is spooled in time, and the next ones at once.
func TestSpoolKeepsToTheTimeout(t *testing.T) {
	const timeout = time.Second
	r := newRemote(1)
	gate := make(chan struct{})
	r.does(func(string, string) error {
		<-gate
		return errAway
	})
	s, _ := r.spool(t, filepath.Join(t.TempDir(), "spool.db"), 1<<30, timeout)
	for i, most := range []time.Duration{timeout, timeout / 2} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		start := time.Now()
		receipt, err := s.Publish(ctx, events(t, "user", 1, 1))
		if took := time.Since(start); err != nil || receipt.Spooled != 1 || took > most {
			t.Errorf("publication %d: %+v, %v after %v", i, receipt, err, took)
		}
		cancel()
	}
	close(gate)
	r.comes()
	awaitDirect(t, s)
}

// TestSpoolBuriesWhatTheBrokerRefuses keeps an event that can never be forwarded as a dead letter, with its value, and goes on. The
// broker's dead letters may only take what has none.
func TestSpoolBuriesWhatTheBrokerRefuses(t *testing.T) {
	tooLarge := fmt.Errorf("%w: by far", domain.ErrTooLarge)
	for name, room := range map[string]int{"broker": 1 << 20, "local": 100} {
		t.Run(name, func(t *testing.T) {
			r, file := newRemote(1), filepath.Join(t.TempDir(), "spool.db")
			r.goes()
			r.letterRoom = room
			s, end := r.spool(t, file, 1<<30, timeout)
			bad, good := events(t, "bad", 1, 1), events(t, "good", 1, 1)
			for _, batch := range [][]domain.Event{bad, good} {
				if _, err := publishTo(t, s, batch); err != nil {
					t.Fatal(err)
				}
			}
			r.does(func(topic, user string) error {
				if topic == "topic" && user == "bad" {
					return application.PublishError{tooLarge, nil}
				}
				return nil
			})
			awaitDirect(t, s)
			end()
			kept, _ := r.ofUser("topic.dlq")
			if want := name == "broker"; slices.Equal(kept["bad"], ids(bad)) != want {
				t.Errorf("the broker's dead letters are %v", kept)
			}
			if name == "local" {
				wantLocalLetter(t, file, bad[0])
			}
		})
	}
}

// wantLocalLetter looks for the event among the dead letters of the file.
func wantLocalLetter(t *testing.T, file string, e domain.Event) {
	t.Helper()
	local, err := sqlitelog.Open(t.Context(), &url.URL{Scheme: "sqlite-log", Path: file}, broker.Options{
		Topic: "topic", DeadLetterTopic: "topic.dlq", PublishTimeout: timeout, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = local.Close() }()
	sub, err := local.Subscriber("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Close() }()
	letters, err := sub.Subscribe(t.Context(), "topic.dlq")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case msg := <-letters:
		if string(msg.Payload) != string(e.JSON()) {
			t.Errorf("the letter has %q", msg.Payload)
		}
		msg.Ack()
	case <-time.After(patience):
		t.Error("there is no letter")
	}
}

// TestSpoolRefusesWhatIsOvertaken has a broker that takes the later events of a call and not the first ones: those of a user with a
// later one in the log are not spooled behind it.
func TestSpoolRefusesWhatIsOvertaken(t *testing.T) {
	r := newRemote(1)
	s, _ := r.spool(t, filepath.Join(t.TempDir(), "spool.db"), 1<<30, timeout)
	batch := append(events(t, "overtaken", 2, 1), events(t, "other", 1, 1)...)
	r.does(func(string, string) error { return application.PublishError{errAway, nil, errAway} })
	receipt, err := publishTo(t, s, batch)
	each := application.EachError(err, len(batch))
	if !errors.Is(each(0), domain.ErrUnavailable) || each(1) != nil || each(2) != nil || receipt.Spooled != 1 {
		t.Errorf("got %+v, %v", receipt, err)
	}
	r.comes()
	awaitDirect(t, s)
}
