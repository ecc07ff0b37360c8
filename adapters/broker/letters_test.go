package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
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

// postal is a log whose publisher fails when it is told to, and whose bounds do.
type postal struct {
	broker.Replayable

	fail  atomic.Pointer[func(topic string, msg *message.Message) error]
	blind atomic.Bool
}

func (p *postal) Publisher() message.Publisher { return p }

func (p *postal) Close() error { return nil }

func (p *postal) Publish(topic string, msgs ...*message.Message) error {
	errs := make(application.PublishError, len(msgs))
	for i, msg := range msgs {
		if fail := p.fail.Load(); fail != nil && *fail != nil {
			errs[i] = (*fail)(topic, msg)
		}
		if errs[i] == nil {
			errs[i] = p.Replayable.Publisher().Publish(topic, msg)
		}
	}
	return errs.OrNil()
}

func (p *postal) Bounds(ctx context.Context, topic string) (map[int32]application.Bounds, error) {
	if p.blind.Load() {
		return nil, errAway
	}
	return p.Replayable.Bounds(ctx, topic)
}

// fails has publications fail from now on; nil ends that.
func (p *postal) fails(fail func(topic string, msg *message.Message) error) { p.fail.Store(&fail) }

// openLetters opens a log with n dead letters of the keys, in turn, and follows them.
func openLetters(t *testing.T, p *postal, n int, keys ...string) (*application.Letters, *broker.Letters) {
	t.Helper()
	return openLettersUpTo(t, p, n, n+1000, keys...)
}

// openLettersUpTo keeps track of no more letters than the limit.
func openLettersUpTo(t *testing.T, p *postal, n, limit int, keys ...string) (*application.Letters, *broker.Letters) {
	t.Helper()
	o := broker.Options{
		Topic: "topic", DeadLetterTopic: "topic.dlq", PublishTimeout: 10 * time.Second, MaxMessageBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}
	log, err := sqlitelog.Open(t.Context(), &url.URL{Scheme: "sqlite-log", Path: filepath.Join(t.TempDir(), "log.db")}, o)
	if err != nil {
		t.Fatal(err)
	}
	p.Replayable, _ = log.(broker.Replayable)
	keep := broker.NewDeadLetters(p, "topic.dlq", o.Logger)
	for i := range n {
		letter := application.DeadLetter{
			Origin: application.Origin{Topic: "topic", Position: application.Position{Offset: int64(i)}, Key: []byte(keys[i%len(keys)])},
			Value:  fmt.Append(nil, i), Reason: errors.New("bad"), Attempts: 1,
		}
		if err := keep.Keep(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	records := broker.NewRecords(p)
	box := broker.NewLetters(p, records, o)
	box.SetLimit(limit)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { box.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		records.Close()
		if err := errors.Join(log.Publisher().Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	return application.NewLetters(box), box
}

// sent returns the payloads of the main topic.
func (p *postal) sent(t *testing.T) (values []string) {
	t.Helper()
	records := broker.NewRecords(p)
	defer records.Close()
	page, err := records.Page(t.Context(), application.RecordQuery{Topic: "topic", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Records {
		values = append(values, string(r.Value))
	}
	return values
}

func open(t *testing.T, letters *application.Letters) int64 {
	t.Helper()
	page, err := letters.List(t.Context(), application.LetterQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return page.Open
}

// TestRequeueWhoseMarkFails leaves the letter open, and a second requeue sends the record once more.
func TestRequeueWhoseMarkFails(t *testing.T) {
	p := &postal{}
	letters, _ := openLetters(t, p, 1, "user")
	p.fails(func(topic string, _ *message.Message) error {
		if topic == "topic.dlq" {
			return errAway
		}
		return nil
	})
	_, err := letters.Requeue(t.Context(), "0-0", "me")
	wantAway(t, "a mark that cannot be kept", err)
	if !strings.Contains(err.Error(), "stays open") || open(t, letters) != 1 {
		t.Errorf("got the error %v, %d are open", err, open(t, letters))
	}
	p.fails(nil)
	if done, err := letters.Requeue(t.Context(), "0-0", "me"); !done || err != nil || open(t, letters) != 0 {
		t.Errorf("the second requeue: %t, %v", done, err)
	}
	if got := p.sent(t); fmt.Sprint(got) != "[0 0]" {
		t.Errorf("sent are %q", got)
	}
}

// TestPoisonWithTheHeadersOfAMark has somebody send a mark to the main topic, as a replay of the dead letters would.
func TestPoisonWithTheHeadersOfAMark(t *testing.T) {
	p := &postal{}
	letters, _ := openLetters(t, p, 1, "user")
	keep := broker.NewDeadLetters(p, "topic.dlq", slog.New(slog.DiscardHandler))
	err := keep.Keep(t.Context(), application.DeadLetter{
		Origin: application.Origin{Topic: "topic", Position: application.Position{Offset: 7}, Key: []byte("user")},
		Reason: errors.New("bad"), Attempts: 1, Headers: map[string]string{broker.DeadLetterAction: "requeued", broker.DeadLetterOf: "0-0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); open(t, letters) != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d letters are open", open(t, letters))
		}
	}
	if w, err := letters.Show(t.Context(), "0-0"); err != nil || w.Settled {
		t.Errorf("the letter that it names: %+v, %v", w, err)
	}
	if w, err := letters.Show(t.Context(), "0-1"); err != nil || w.Record.Headers[broker.DeadLetterAction] != "requeued" {
		t.Errorf("itself: %+v, %v", w, err)
	}
}

// TestRequeueManyKeepsTheOrderOfAKey has one record fail: nothing of its key is sent behind it.
func TestRequeueManyKeepsTheOrderOfAKey(t *testing.T) {
	p := &postal{}
	letters, _ := openLetters(t, p, 9, "a", "b", "c")
	tooLarge := fmt.Errorf("%w: by far", domain.ErrTooLarge)
	p.fails(func(_ string, msg *message.Message) error {
		if string(msg.Payload) == "4" {
			return tooLarge
		}
		return nil
	})
	r, err := letters.RequeueMany(t.Context(), application.LetterQuery{}, "me")
	if err != nil || r.Requeued != 7 || r.Failed != 2 || r.Left != 0 || r.Next != "" || len(r.Failures) != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if f := r.Failures; f[0].ID != "0-4" || !errors.Is(f[0].Err, domain.ErrTooLarge) || f[1].ID != "0-7" || !errors.Is(f[1].Err, application.ErrBlocked) {
		t.Errorf("got the failures %+v", f)
	}
	if got := p.sent(t); fmt.Sprint(got) != "[0 1 2 3 5 6 8]" {
		t.Errorf("sent are %q", got)
	}
	if open(t, letters) != 2 {
		t.Errorf("%d are open", open(t, letters))
	}
}

// TestOrderOfAKeyAcrossCalls requeues page after page: what failed on one holds up its key on the next.
func TestOrderOfAKeyAcrossCalls(t *testing.T) {
	p := &postal{}
	letters, _ := openLetters(t, p, 9, "a", "b", "c")
	p.fails(func(_ string, msg *message.Message) error {
		if string(msg.Payload) == "1" {
			return fmt.Errorf("%w: by far", domain.ErrTooLarge)
		}
		return nil
	})
	q, requeued := application.LetterQuery{Limit: 2}, 0
	for {
		r, err := letters.RequeueMany(t.Context(), q, "me")
		if err != nil {
			t.Fatal(err)
		}
		requeued += r.Requeued
		if q.Cursor, q.To = r.Next, r.To; q.Cursor == "" {
			break
		}
	}
	if got := p.sent(t); fmt.Sprint(got) != "[0 2 3 5 6 8]" || requeued != 6 {
		t.Errorf("%d are requeued, sent are %q", requeued, got)
	}
}

// TestRequeueManyStopsWhenTheBrokerIsAway tries what it has in hand, and leaves the rest.
func TestRequeueManyStopsWhenTheBrokerIsAway(t *testing.T) {
	p := &postal{}
	letters, _ := openLetters(t, p, 150, "a", "b")
	var tried atomic.Int64
	p.fails(func(string, *message.Message) error {
		tried.Add(1)
		return errAway
	})
	r, err := letters.RequeueMany(t.Context(), application.LetterQuery{Limit: 140}, "me")
	if err != nil || r.Requeued != 0 || r.Failed != 100 || r.Left != 50 || r.Next != "0-99" || tried.Load() != 2 {
		t.Errorf("got %d failures, %d left, the cursor %s after %d tries, %v", r.Failed, r.Left, r.Next, tried.Load(), err)
	}
	p.fails(nil)
	r, err = letters.RequeueMany(t.Context(), application.LetterQuery{Limit: 1000}, "me")
	if err != nil || r.Requeued != 150 || open(t, letters) != 0 {
		t.Errorf("when it is back: got %+v, %v", r, err)
	}
}

// TestLettersOfASlowStart has the broker away: calls wait for as long as they may, and get their answer when it is there.
func TestLettersOfASlowStart(t *testing.T) {
	p := &postal{}
	p.blind.Store(true)
	letters, box := openLetters(t, p, 3, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := letters.List(ctx, application.LetterQuery{})
	wantAway(t, "while the letters cannot be read", err)
	if box.Status().Known {
		t.Error("the letters are known")
	}
	answer := make(chan int64, 1)
	go func() { answer <- open(t, letters) }()
	p.blind.Store(false)
	if n := <-answer; n != 3 || !box.Status().Known {
		t.Errorf("%d are open", n)
	}
}

// TestMoreLettersThanAreTracked settles them all: those without room come up when half of the others are settled.
func TestMoreLettersThanAreTracked(t *testing.T) {
	const n, limit = 50, 8
	p := &postal{}
	letters, box := openLettersUpTo(t, p, n, limit, "a", "b")
	page, err := letters.List(t.Context(), application.LetterQuery{})
	if err != nil || page.Open != n || page.Unlisted != n-limit || len(page.Letters) != limit {
		t.Fatalf("got %+v, %v", page, err)
	}
	if w, err := letters.Show(t.Context(), "0-30"); err != nil || w.Settled || string(w.Record.Value) != "30" {
		t.Errorf("one that is not tracked: got %+v, %v", w, err)
	}
	if done, err := letters.Requeue(t.Context(), "0-30", ""); !done || err != nil {
		t.Errorf("one that is not tracked is requeued: %t, %v", done, err)
	}
	if done, err := letters.Requeue(t.Context(), "0-30", ""); done || err != nil {
		t.Errorf("it is requeued again: %t, %v", done, err)
	}
	if w, err := letters.Show(t.Context(), "0-30"); err != nil || !w.Settled || box.Status().Unlisted != n-limit-1 {
		t.Errorf("after its requeue: got %+v, %v, %+v", w, err, box.Status())
	}
	for end := time.Now().Add(patience); box.Status().Open > 0; {
		if time.Now().After(end) {
			t.Fatalf("the letters do not come up: %+v", box.Status())
		}
		if _, err := letters.RequeueMany(t.Context(), application.LetterQuery{Limit: 3}, ""); err != nil {
			t.Fatal(err)
		}
	}
	sent := p.sent(t)
	if s := box.Status(); len(sent) != n || s.Requeued != n || s.Unlisted != 0 || !s.Oldest.IsZero() {
		t.Errorf("%d of %d were requeued, %+v", len(sent), n, s)
	}
}

// TestSettledLettersCanGo trims the topic up to the first open letter.
func TestSettledLettersCanGo(t *testing.T) {
	p := &postal{}
	letters, box := openLetters(t, p, 6, "a")
	if got := open(t, letters); got != 6 || box.Settled()[0] != 0 {
		t.Fatalf("%d are open, all are settled up to %v", got, box.Settled())
	}
	for _, id := range []string{"0-0", "0-1", "0-3"} {
		if _, err := letters.Drop(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := box.Settled(); got[0] != 2 {
		t.Fatalf("all are settled up to %v, want 2", got)
	}
	removed, err := p.Replayable.(broker.Trimmer).Trim(t.Context(), "topic.dlq", time.Now().Add(time.Hour), 0, box.Settled())
	if err != nil || removed != 2 {
		t.Errorf("%d were removed, %v", removed, err)
	}
	if _, err := letters.Show(t.Context(), "0-0"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("one that is gone: got the error %v", err)
	}
	if _, err := letters.Requeue(t.Context(), "0-2", ""); err != nil {
		t.Error(err)
	}
}
