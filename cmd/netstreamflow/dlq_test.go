package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// eachLog runs the test on each broker whose records outlive the program; folder is the data folder.
func eachLog(t *testing.T, test func(t *testing.T, brokerURL, topic, folder string)) {
	t.Run("sqlite-log", func(t *testing.T) { test(t, "sqlite-log:", "events", t.TempDir()) })
	eachDriver(t, func(t *testing.T, scheme string) {
		t.Run("fake", func(t *testing.T) {
			c, err := kfake.NewCluster(kfake.NumBrokers(2))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			test(t, scheme+"://"+strings.Join(c.ListenAddrs(), ","), topicName(t), t.TempDir())
		})
		t.Run("real", func(t *testing.T) { test(t, scheme+"://"+kafkaAddress(t), topicName(t), t.TempDir()) })
	})
}

// produce publishes records as another producer does, while no service has the folder.
func produce(t *testing.T, brokerURL, folder, topic string, msgs ...*message.Message) {
	t.Helper()
	main, _ := strings.CutSuffix(topic, ".dlq")
	b, err := broker.OpenURL(t.Context(), netstreamflow.BuiltIn().Brokers, brokerURL, broker.Options{
		Topic: main, DeadLetterTopic: main + ".dlq", Partitions: 3, PublishTimeout: 20 * time.Second, MaxMessageBytes: 1 << 20,
		DataDir: folder, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publisher().Publish(topic, msgs...); err != nil {
		t.Fatal(err)
	}
	_ = b.Publisher().Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func recordFor(key, value string, headers ...string) *message.Message {
	msg := message.NewMessage(watermill.NewUUID(), []byte(value))
	msg.Metadata.Set(broker.KeyMetadata, key)
	for i := 0; i+1 < len(headers); i += 2 {
		msg.Metadata.Set(headers[i], headers[i+1])
	}
	return msg
}

// dlq runs the command against the service and returns what it prints.
func (s *service) dlq(wantStatus int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	status, out, errs := output(s.t, nil, append([]string{"dlq", "--url", "http://" + s.addr}, args...)...)
	if status != wantStatus {
		s.t.Fatalf("dlq %v ends with %d: %s%s", args, status, out, errs)
	}
	return out, errs
}

// letters lists the open ones.
func (s *service) letters(args ...string) (all []letter) {
	s.t.Helper()
	out, _ := s.dlq(0, append([]string{"list", "--json"}, args...)...)
	for line := range strings.Lines(out) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func (s *service) awaitLetters(n int) []letter {
	s.t.Helper()
	var all []letter
	eventually(s.t, fmt.Sprint(n, " dead letters"), func() bool {
		all = s.letters()
		return len(all) == n
	})
	return all
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
}

// TestDeadLettersFromEndToEnd has a record that can never be processed, and does with it, twice each, all that can be done.
func TestDeadLettersFromEndToEnd(t *testing.T) {
	eachLog(t, func(t *testing.T, brokerURL, topic, folder string) {
		produce(t, brokerURL, folder, topic, recordFor("user-1", "no \x1b JSON", "trace", "abc"))
		start := func() *service {
			s := serve(t, "--broker", brokerURL, "--topic", topic, "--group", topic, "--data-dir", folder)
			s.awaitReady()
			return s
		}
		s := start()
		first := s.awaitLetters(1)[0]
		if *first.Key != "user-1" || first.Attempts != 1 || first.Requeues != 0 || first.Origin.Topic != topic {
			t.Errorf("got the letter %+v", first)
		}
		for range 2 {
			table, _ := s.dlq(0, "list")
			contains(t, table, "ID ", first.ID, "user-1", topic+"/", "1 shown, 1 open")
			shown, _ := s.dlq(0, "show", first.ID)
			contains(t, shown, `"payloadBase64": "bm8gGyBKU09O"`, `"trace": "abc"`, `"state": "open"`, `"dead-letter-reason"`)
		}
		for _, want := range []string{"1 requeued, 0 had", "0 requeued, 1 had"} {
			out, _ := s.dlq(0, "requeue", first.ID)
			contains(t, out, want)
		}
		second := s.awaitLetters(1)[0]
		if second.ID == first.ID || second.Attempts != 2 || second.Requeues != 1 || *second.Origin == *first.Origin {
			t.Errorf("after the first requeue: %+v", second)
		}
		if code := s.end(terminate); code != 0 {
			t.Errorf("exit status %d", code)
		}

		s = start()
		if again := s.awaitLetters(1)[0]; again.ID != second.ID {
			t.Errorf("after a restart: %+v, want %+v", again, second)
		}
		// What is requeued by a filter and comes back is not sent again by the same command, although the filter selects it.
		out, _ := s.dlq(0, "requeue", "--reason", "JSON")
		contains(t, out, "1 requeued, 0 had")
		eventually(t, "it is back", func() bool { l := s.letters(); return len(l) == 1 && l[0].ID != second.ID })
		third := s.awaitLetters(1)[0]
		if third.Requeues != 2 || third.Attempts != 3 {
			t.Errorf("after the second requeue: %+v", third)
		}
		shown, _ := s.dlq(0, "show", third.ID)
		contains(t, shown, fmt.Sprintf(`"netstreamflow-origin": "%s/%d/%d"`, topic, first.Origin.Partition, first.Origin.Offset))
		s.dlq(0, "drop", third.ID)
		s.dlq(0, "drop", third.ID)
		if left := s.letters(); len(left) != 0 {
			t.Errorf("after the drop: %+v", left)
		}
		shown, _ = s.dlq(0, "show", third.ID)
		contains(t, shown, `"state": "settled"`)
		if n := len(s.logged("dead letter requeued")); n != 1 {
			t.Errorf("%d requeues are audited", n)
		}
		if lines := s.logged("dead letter dropped"); len(lines) != 1 || lines[0]["id"] != third.ID || lines[0]["reason"] == "" {
			t.Errorf("the drops are audited as %v", lines)
		}
		s.dlq(1, "show", "99-99")
		s.dlq(1, "drop", "99-99")
		_, errs := s.dlq(1, "requeue", "99-99")
		contains(t, errs, "requeue 99-99: 404 Not Found: there is no dead letter with this id")
		if code := s.end(terminate); code != 0 {
			t.Errorf("exit status %d", code)
		}

		s = start()
		if left := s.letters(); len(left) != 0 {
			t.Errorf("after another restart: %+v", left)
		}
	})
}

// TestRequeuedEventIsStoredOnce has dead letters that can be processed by now: each is stored once, under the id that follows
// from where it stood, however often it is sent.
func TestRequeuedEventIsStoredOnce(t *testing.T) {
	eachLog(t, func(t *testing.T, brokerURL, topic, folder string) {
		const n = 30
		var msgs []*message.Message
		for i := range 2 * n {
			msgs = append(msgs, recordFor("user", fmt.Sprintf(`{"userId":"user","eventType":"t","metadata":{"n":%d}}`, i/2),
				broker.DeadLetterReason, "a fault of an earlier version", broker.DeadLetterKey, "user", broker.DeadLetterTopic, topic,
				broker.DeadLetterPartition, "0", broker.DeadLetterOffset, fmt.Sprint(i/2), broker.DeadLetterRecordTime, "2026-01-31T12:00:00Z"))
		}
		produce(t, brokerURL, folder, topic+".dlq", msgs...)
		s := serve(t, "--broker", brokerURL, "--topic", topic, "--group", topic, "--data-dir", folder)
		s.awaitReady()
		s.awaitLetters(2 * n)
		out, _ := s.dlq(0, "requeue", "--all", "--json")
		contains(t, out, fmt.Sprintf(`"done":%d`, 2*n), `"failed":0`)
		eventually(t, "all are taken", func() bool { return len(s.logged("event consumed")) == 2*n })
		got := s.list("/api/events/user/user")
		if got.Count != n {
			t.Fatalf("%d events are stored, want %d", got.Count, n)
		}
		for i, e := range got.Events {
			if string(e.Metadata) != fmt.Sprintf(`{"n":%d}`, i) {
				t.Errorf("event %d is %s", i, e.Metadata)
			}
		}
		_, _, body, err := s.request(t.Context(), http.MethodGet, "/api/events?to=2026-01-31T12:00:01Z&limit=1", "")
		if err != nil || !strings.Contains(string(body), `"timestamp":"2026-01-31T12:00:00Z"`) {
			t.Errorf("the events do not have their records' time: %s, %v", body, err)
		}
	})
}

// TestDropMany drops more letters than are on one page.
func TestDropMany(t *testing.T) {
	folder := t.TempDir()
	const n = pageLetters + 200
	msgs := make([]*message.Message, n)
	for i := range msgs {
		msgs[i] = recordFor(fmt.Sprint(i%7), "x", broker.DeadLetterReason, []string{"one", "other"}[i%2])
	}
	produce(t, "sqlite-log:", folder, "events.dlq", msgs...)
	s := serve(t, "--topic", "events", "--data-dir", folder)
	s.awaitLetters(100) // by default
	if got := len(s.letters("--limit", "5000")); got != n {
		t.Errorf("%d are listed, want %d", got, n)
	}
	out, _ := s.dlq(0, "drop", "--reason", "one")
	contains(t, out, fmt.Sprint(n/2, " dropped, 0 had been settled before, 0 failed"))
	out, _ = s.dlq(0, "drop", "--all", "--json")
	contains(t, out, fmt.Sprintf(`"done":%d`, n/2))
	if left := s.letters(); len(left) != 0 {
		t.Errorf("%d are left", len(left))
	}
}

// TestVolatileDeadLetters has them in memory, too.
func TestVolatileDeadLetters(t *testing.T) {
	s := serve(t, "--broker", "memory:", "--store", "memory:")
	s.awaitReady()
	if left := s.letters(); len(left) != 0 {
		t.Errorf("there are %+v", left)
	}
	out, _ := s.dlq(0, "requeue", "--all")
	contains(t, out, "0 requeued")
}

func TestDLQUsage(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		text   string
	}{
		"no command":      {[]string{"dlq", "x"}, 2, `unknown command "dlq x"`},
		"nothing to drop": {[]string{"dlq", "drop"}, 2, "needs ids, or a filter"},
		"both":            {[]string{"dlq", "requeue", "0-1", "--all"}, 2, "not both"},
		"no id":           {[]string{"dlq", "show"}, 2, "needs the ids"},
		"time":            {[]string{"dlq", "list", "--from", "yesterday"}, 2, `--from "yesterday" must be a time`},
		"limit":           {[]string{"dlq", "list", "--limit", "0"}, 2, `--limit "0" must be`},
		"URL":             {[]string{"dlq", "list", "--url", "ftp://x"}, 2, "--url must be"},
		"secret in URL":   {[]string{"dlq", "list", "--url", "http://user:secret@x"}, 2, "--url must be"},
		"token file":      {[]string{"dlq", "list", "--token-file", "/does/not/exist"}, 2, "must name a readable file"},
		"nobody":          {[]string{"dlq", "list", "--url", "http://127.0.0.1:1"}, 1, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := output(t, nil, test.args...)
			if status != test.status || !strings.Contains(errs, test.text) || strings.Contains(errs, "secret") {
				t.Errorf("status %d, %s%s", status, out, errs)
			}
		})
	}
}

// TestDLQToken checks where the token comes from, and that the service does not mind its variables.
func TestDLQToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		environ, args []string
		want          string
	}{
		"none":                 {nil, nil, ""},
		"variable":             {[]string{"NETSTREAMFLOW_TOKEN=v"}, nil, "v"},
		"file of the variable": {[]string{"NETSTREAMFLOW_TOKEN_FILE=" + file}, nil, "from-file"},
		"file":                 {[]string{"NETSTREAMFLOW_TOKEN=v"}, []string{"--token-file", file}, "from-file"},
		"flag":                 {[]string{"NETSTREAMFLOW_TOKEN=v"}, []string{"--token", "t", "--token-file", file}, "t"},
	} {
		t.Run(name, func(t *testing.T) {
			c := adminClient{environ: test.environ, url: "http://x/"}
			for i := 0; i+1 < len(test.args); i += 2 {
				*map[string]*string{"--token": &c.token, "--token-file": &c.tokenFile}[test.args[i]] = test.args[i+1]
			}
			if err := c.prepare(letterFilter{}); err != nil || c.token != test.want || c.url != "http://x" {
				t.Errorf("got %q for %q, %v", c.token, c.url, err)
			}
		})
	}
	status, _, errs := output(t, []string{"NETSTREAMFLOW_TOKEN_FILE=/no/such"}, "dlq", "list")
	if status != 2 || !strings.HasPrefix(errs, `netstreamflow: NETSTREAMFLOW_TOKEN_FILE "/no/such" must name`) {
		t.Errorf("dlq ends with %d: %s", status, errs)
	}
	status, _, errs = output(t, []string{"NETSTREAMFLOW_TOKEN=v", "NETSTREAMFLOW_TOKENS=v"}, "serve")
	if status != 2 || !strings.HasPrefix(errs, "netstreamflow: NETSTREAMFLOW_TOKENS is not a setting") {
		t.Errorf("serve ends with %d: %s", status, errs)
	}
}

// TestTopology follows events through the broker as administrators see it.
func TestTopology(t *testing.T) {
	eachLog(t, func(t *testing.T, brokerURL, topic, folder string) {
		const n = 50
		s := serve(t, "--broker", brokerURL, "--topic", topic, "--group", topic, "--data-dir", folder)
		s.awaitReady()
		for i := range n {
			if status := s.post(fmt.Sprintf(`{"userId":"user %d","eventType":"t"}`, i%9)); status != http.StatusAccepted {
				t.Fatalf("status %d", status)
			}
		}
		var b struct {
			Topics []struct {
				Name       string
				Partitions []struct{ Partition, First, Next int64 }
			}
			Groups []struct {
				Name, State string
				Members     []struct{ Partitions []int32 }
				Lag         int64
			}
			StoreTaken map[string]int64
		}
		eventually(t, "no lag", func() bool {
			s.getJSON("/api/admin/broker", &b)
			var taken int64
			for _, next := range b.StoreTaken {
				taken += next
			}
			return len(b.Groups) == 1 && b.Groups[0].Lag == 0 && taken == n
		})
		if b.Topics[0].Name != topic || b.Topics[1].Name != topic+".dlq" || b.Groups[0].Name != topic || len(b.Groups[0].Members) != 1 ||
			len(b.Groups[0].Members[0].Partitions) != len(b.Topics[0].Partitions) {
			t.Errorf("got %+v", b)
		}
		found := 0
		for _, p := range b.Topics[0].Partitions {
			var page struct {
				Messages []struct {
					Key     string
					Headers map[string]string
					Payload struct{ UserID string }
				}
			}
			s.getJSON(fmt.Sprintf("/api/admin/messages?limit=1000&partition=%d", p.Partition), &page)
			found += len(page.Messages)
			for _, m := range page.Messages {
				if m.Key == "" || m.Payload.UserID != m.Key || m.Headers["content-type"] != "application/json" {
					t.Errorf("got the record %+v", m)
				}
			}
		}
		if found != n {
			t.Errorf("there are %d records, want %d", found, n)
		}
	})
}

func (s *service) getJSON(path string, to any) {
	s.t.Helper()
	status, _, body, err := s.request(s.t.Context(), http.MethodGet, path, "")
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %v %s", path, status, err, body)
	}
	if err := json.Unmarshal(body, to); err != nil {
		s.t.Fatal(err)
	}
}

// TestRetentionOfDeadLetters drops settled letters from the embedded log, and no open one.
func TestRetentionOfDeadLetters(t *testing.T) {
	folder := t.TempDir()
	produce(t, "sqlite-log:", folder, "events.dlq", recordFor("u", "1"), recordFor("u", "2"), recordFor("u", "3"))
	s := serve(t, "--topic", "events", "--data-dir", folder, "--log-retention", "1s")
	s.awaitLetters(3)
	s.dlq(0, "drop", "0-0", "0-1")
	eventually(t, "the settled letters are gone", func() bool { return len(s.logged("old dead letters were dropped from the log")) > 0 })
	s.dlq(1, "show", "0-1")
	s.dlq(0, "show", "0-2")
	if left := s.letters(); len(left) != 1 || left[0].ID != "0-2" {
		t.Errorf("open are %+v", left)
	}
}
