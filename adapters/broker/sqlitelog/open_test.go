package sqlitelog_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
	"github.com/netstreamflow/netstreamflow/domain"
)

func openURL(t *testing.T, raw string, o broker.Options) (broker.Broker, error) {
	t.Helper()
	b, err := broker.OpenURL(t.Context(), map[string]broker.Open{"sqlite-log": sqlitelog.Open}, raw, o)
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

func TestURLNamesTheFile(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for raw, want := range map[string]string{
		"sqlite-log:":                              "data/log.db",
		"SQLITE-LOG:relative/x.db":                 "relative/x.db",
		"sqlite-log:" + folder + "/absolute/x.db":  "absolute/x.db",
		"sqlite-log://" + folder + "/slashes/x.db": "slashes/x.db",
		"sqlite-log:odd/a%3Fb%23c%25d e.db":        "odd/a?b#c%d e.db",
	} {
		o := options(t)
		o.DataDir = "data"
		b, err := openURL(t, raw, o)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		publish(t, b, messages("m", 1)...)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if info, err := os.Stat(want + suffix); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: the file %s: %v, error %v", raw, want+suffix, info, err)
			}
		}
	}
}

func TestURLRefusesMore(t *testing.T) {
	for _, raw := range []string{
		"sqlite-log://host/x.db", "sqlite-log:?a=b", "sqlite-log:x.db?a=b", "sqlite-log:x.db?", "sqlite-log:x.db#f", "sqlite-log:x/",
		"sqlite-log:/", "sqlite-log:%zz", "sqlite-log:a%00b", "sqlite-log://u@/x.db",
	} {
		if _, err := openURL(t, raw, options(t)); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: got the error %v, want an invalid URL", raw, err)
		}
	}
}

func TestClaimComesFirst(t *testing.T) {
	folder := t.TempDir()
	o := options(t)
	var claimed string
	o.Claim = func(folder string) error {
		claimed = folder
		return errors.New("in use")
	}
	_, err := openURL(t, "sqlite-log:"+folder+"/deep/x.db", o)
	if err == nil || !strings.Contains(err.Error(), "in use") || claimed != folder+"/deep" {
		t.Errorf("claimed %q, error %v", claimed, err)
	}
	if found, _ := filepath.Glob(folder + "/*"); len(found) > 0 {
		t.Errorf("files without a claim: %q", found)
	}
}

// TestCleanCloseLeavesOneFile closes while a subscription is open.
func TestCleanCloseLeavesOneFile(t *testing.T) {
	o := options(t)
	b := open(t, o)
	publish(t, b, messages("m", 100)...)
	received := subscribe(t, b, "group")
	(<-received).Ack()
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range received { //nolint:revive // it must be closed
	}
	if found, _ := filepath.Glob(o.DataDir + "/*"); len(found) != 1 {
		t.Errorf("a closed log has the files %q", found)
	}
	for what, err := range map[string]error{
		"publish": b.Publisher().Publish("topic", messages("m", 1)...),
		"ping":    b.Ping(t.Context()),
		"bounds":  func() error { _, err := b.Bounds(t.Context(), "new"); return err }(),
	} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s after the close: %v", what, err)
		}
	}
	subscriber, _ := b.Subscriber("group")
	if _, err := subscriber.Subscribe(t.Context(), "topic"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("subscribe after the close: %v", err)
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	o := options(t)
	b := open(t, o)
	publish(t, b, messages("m", 2000)...)
	b.Close()
	file := filepath.Join(o.DataDir, "log.db")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"garbage":       bytes.Repeat([]byte("garbage!"), 1024),
		"text":          []byte("not a database"),
		"first page":    append(bytes.Repeat([]byte{0xff}, 4096), whole[4096:]...),
		"schema":        append(append(whole[:100:100], bytes.Repeat([]byte{0xff}, 3996)...), whole[4096:]...),
		"cut short":     whole[:5000],
		"other content": append(whole[:4096:4096], bytes.Repeat([]byte{0xee}, len(whole)-4096)...),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := openURL(t, "sqlite-log:", o)
			if err == nil || !strings.Contains(err.Error(), "log.db") || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("got the error %v", err)
			}
		})
	}
}

func TestAnotherDatabaseIsRefused(t *testing.T) {
	o := options(t)
	db, err := sql.Open("sqlite", filepath.Join(o.DataDir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE events (x)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := openURL(t, "sqlite-log:", o); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("got the error %v, want an invalid URL", err)
	}
}

// TestLazySync publishes, and says at the opening what may be lost.
func TestLazySync(t *testing.T) {
	var text lines
	o := options(t)
	o.LazySync, o.Logger = true, slog.New(slog.NewTextHandler(&text, nil))
	b := open(t, o)
	publish(t, b, messages("m", 100)...)
	if !strings.Contains(text.String(), "level=WARN") || !strings.Contains(text.String(), "is lost when the machine fails") {
		t.Errorf("the log %q does not warn", text.String())
	}
	<-time.After(1200 * time.Millisecond) // it must be synced once
	if strings.Contains(text.String(), "could not be synced") {
		t.Errorf("the log: %q", text.String())
	}
	expect(t, subscribe(t, b, ""), messages("m", 100))
}

// lines is a buffer for several goroutines.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// messages returns messages with the payloads "prefix 0", "prefix 1" and so on.
func payload(prefix string, i int) []byte { return fmt.Appendf(nil, "%s %d", prefix, i) }

func messages(prefix string, n int) []*message.Message {
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = event(int64(i))
		msgs[i].Payload = payload(prefix, i)
	}
	return msgs
}

func publish(t *testing.T, b broker.Broker, msgs ...*message.Message) {
	t.Helper()
	if err := b.Publisher().Publish("topic", msgs...); err != nil {
		t.Fatal(err)
	}
}

// subscribe subscribes until the test ends.
func subscribe(t *testing.T, b broker.Broker, group string) <-chan *message.Message {
	t.Helper()
	subscriber, err := b.Subscriber(group)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { subscriber.Close() })
	received, err := subscriber.Subscribe(context.Background(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	return received
}

// expect takes and acks as many messages as are wanted, and checks their payloads.
func expect(t *testing.T, received <-chan *message.Message, want []*message.Message) {
	t.Helper()
	for i, w := range want {
		select {
		case msg, open := <-received:
			if !open {
				t.Fatalf("the channel is closed after %d of %d messages", i, len(want))
			}
			msg.Ack()
			if !bytes.Equal(msg.Payload, w.Payload) {
				t.Fatalf("message %d is %q, want %q", i, msg.Payload, w.Payload)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no message after %d of %d", i, len(want))
		}
	}
}
