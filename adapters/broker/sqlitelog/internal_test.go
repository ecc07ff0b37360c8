package sqlitelog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func open(t *testing.T, timeout time.Duration) *Broker {
	t.Helper()
	b, err := Open(t.Context(), &url.URL{Scheme: "sqlite-log"}, broker.Options{
		PublishTimeout: timeout, MaxMessageBytes: 1 << 20, DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.(*Broker)
}

func payloads(t *testing.T, b *Broker) []string {
	t.Helper()
	rows, err := b.file.reads.QueryContext(t.Context(), `SELECT value FROM records_1 ORDER BY "offset"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var value []byte
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(value))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func publish(b *Broker, payloads ...string) error {
	msgs := make([]*message.Message, len(payloads))
	for i, p := range payloads {
		msgs[i] = message.NewMessage("", []byte(p))
	}
	return b.Publisher().Publish("topic", msgs...)
}

// occupy has the writer wait until release.
func occupy(t *testing.T, b *Broker) (release func()) {
	t.Helper()
	begun, released, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- b.writer.do(context.Background(), func(context.Context, *sql.Conn) (func(), error) {
			close(begun)
			<-released
			return func() {}, nil
		})
	}()
	<-begun
	return func() {
		close(released)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestPublishGivesUp checks that a call ends with its time-out, or the context of its message, and that what the writer has not
// begun with by then is left out.
func TestPublishGivesUp(t *testing.T) {
	b := open(t, 200*time.Millisecond)
	if err := publish(b, "first"); err != nil {
		t.Fatal(err)
	}
	release := occupy(t, b)
	if err := publish(b, "too late"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got the error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	msg := message.NewMessageWithContext(ctx, "", []byte("given up"))
	if err := b.Publisher().Publish("topic", msg); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got the error %v", err)
	}
	if err := b.Publisher().Publish("another topic", msg); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a new topic: got the error %v", err)
	}
	if err := b.Ping(ctx); err == nil {
		t.Error("ping on an ended context succeeds")
	}
	release()
	if err := publish(b, "last"); err != nil {
		t.Fatal(err)
	}
	if got := payloads(t, b); fmt.Sprint(got) != "[first last]" {
		t.Errorf("the log has %q", got)
	}
}

// TestQueueIsBounded has more calls wait than there is room for: they give up, too.
func TestQueueIsBounded(t *testing.T) {
	b := open(t, 300*time.Millisecond)
	if err := publish(b, "first"); err != nil {
		t.Fatal(err)
	}
	release := occupy(t, b)
	errs := make(chan error)
	for range queue + 50 {
		go func() { errs <- publish(b, "x") }()
	}
	for range queue + 50 {
		if err := <-errs; !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got the error %v", err)
		}
	}
	release()
	if err := publish(b, "last"); err != nil {
		t.Error(err)
	}
}

// TestFullDatabase lets the database grow no more: publications fail as a whole, and succeed when there is room again.
func TestFullDatabase(t *testing.T) {
	b := open(t, 10*time.Second)
	if err := publish(b, "0"); err != nil {
		t.Fatal(err)
	}
	limitPages := func(n int) {
		err := b.writer.do(t.Context(), func(ctx context.Context, c *sql.Conn) (func(), error) {
			_, err := c.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", n))
			return func() {}, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limitPages(1) // SQLite takes the size that it has
	large := strings.Repeat("x", 10_000)
	err := publish(b, "small", large, "small")
	var each application.PublishError
	if !errors.Is(err, domain.ErrUnavailable) || errors.As(err, &each) {
		t.Errorf("got the error %v, want one for all", err)
	}
	if err := b.Ping(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("ping of a full log: %v", err)
	}
	if err := publish(b, "1"); err != nil { // there is room for it in the last page
		t.Error(err)
	}
	limitPages(1_000_000)
	if err := b.Ping(t.Context()); err != nil {
		t.Errorf("ping when there is room: %v", err)
	}
	if err := publish(b, large, "2"); err != nil {
		t.Error(err)
	}
	got := payloads(t, b)
	if len(got) != 4 || got[0] != "0" || got[1] != "1" || got[2] != large || got[3] != "2" {
		t.Errorf("the log has %d records", len(got))
	}
}

// TestWriterConnectsAgain breaks the writer's connection, and has somebody else write to the log meanwhile.
func TestWriterConnectsAgain(t *testing.T) {
	b := open(t, 10*time.Second)
	if err := publish(b, "0"); err != nil {
		t.Fatal(err)
	}
	other, err := connect(b.file.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), `INSERT INTO records_1 ("offset", time, bytes, value) VALUES (1, 1, 10, x'31')`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Close(), publish(b, "lost")); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got the error %v", err)
	}
	if err := b.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := publish(b, "2"); err != nil {
		t.Error(err)
	}
	if got := payloads(t, b); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("the log has %q", got)
	}
}

// TestClockSetBack appends records whose times fall: what is found by time is exact all the same.
func TestClockSetBack(t *testing.T) {
	b := open(t, 10*time.Second)
	found, err := b.topics.ensure(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	times := []int64{100, 300, 200, 250, 300, 400, 50}
	for _, at := range times {
		err := b.writer.do(t.Context(), func(ctx context.Context, _ *sql.Conn) (func(), error) {
			e, _ := found.look()
			e, err := b.writer.session.insert(ctx, found, e, at, []record{{value: []byte("v")}})
			return func() { found.set(e) }, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for at := int64(0); at < 500; at += 25 {
		want := int64(len(times))
		if first := slices.IndexFunc(times, func(made int64) bool { return made >= at }); first >= 0 {
			want = int64(first)
		}
		got, err := b.OffsetsAt(t.Context(), "topic", time.UnixMilli(at))
		if err != nil || got[0] != want {
			t.Errorf("at %d: %v, error %v, want %d", at, got, err, want)
		}
	}
	if e, err := readEnds(t.Context(), b.file.reads, found.id); err != nil || e != found.ends {
		t.Errorf("the file has %+v, error %v, want %+v", e, err, found.ends)
	}
	if got, err := b.OffsetsAt(t.Context(), "topic", time.UnixMilli(100).Add(1)); err != nil || got[0] != 1 {
		t.Errorf("just behind the first: %v, error %v", got, err)
	}
}

// TestPlaceBeyondTheEnd has a group whose place is not in the log, which was restored from an old copy: it begins at the
// first record, and its place goes back.
func TestPlaceBeyondTheEnd(t *testing.T) {
	b := open(t, 10*time.Second)
	if err := publish(b, "0", "1"); err != nil {
		t.Fatal(err)
	}
	b.places.move(place{topic: 1, group: "group"}, 1000)
	subscriber, err := b.Subscriber("group")
	if err != nil {
		t.Fatal(err)
	}
	received, err := subscriber.Subscribe(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0", "1"} {
		msg := <-received
		msg.Ack()
		if string(msg.Payload) != want {
			t.Errorf("got %q, want %q", msg.Payload, want)
		}
	}
	if err := subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Places(t.Context(), "topic", "group"); err != nil || got[0] != 2 {
		t.Errorf("places %v, error %v", got, err)
	}
}

func TestIDs(t *testing.T) {
	for id, size := range map[string]int{
		"": 0, "x": 1, "0123456789abcdef": 17, "\x00": 2, "\x00\x00": 3, strings.Repeat("\x00", 16): 17,
		"01234567-89ab-cdef-0123-456789abcdef": 16, "01234567-89AB-cdef-0123-456789abcdef": 36,
		"01234567-89ab-cdef-0123-456789abcde-": 36, "0123456-789ab-cdef-0123-456789abcdef0": 37, "é-id": 5,
	} {
		packed := packID(id)
		if got := unpackID(packed); got != id || len(packed) != size {
			t.Errorf("%q: %q of %d bytes, want %d", id, got, len(packed), size)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte{})
	f.Add(packHeaders(message.Metadata{"a": "b", "": "", "long": strings.Repeat("x", 300)}))
	f.Add([]byte{200, 1, 'a'})
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, packed []byte) {
		metadata, err := unpackHeaders(packed)
		if err != nil {
			return
		}
		delete(metadata, broker.KeyMetadata)
		again, err := unpackHeaders(packHeaders(metadata))
		if err != nil || !maps.Equal(again, metadata) {
			t.Errorf("%q became %q, error %v", metadata, again, err)
		}
	})
}

// FuzzWAL checks that no file can make the scan fail.
func FuzzWAL(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0x37, 0x7f, 0x06, 0x82}, 100))
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := scanWAL(bytes.NewReader(content), int64(len(content)))
		if err != nil || found.committed+found.torn > int64(len(content)) {
			t.Errorf("%d bytes: %+v, error %v", len(content), found, err)
		}
	})
}
