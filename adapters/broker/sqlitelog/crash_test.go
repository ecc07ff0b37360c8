package sqlitelog_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// crashFolder names the folder of the log in the child process of TestKill.
const crashFolder = "NSF_TEST_SQLITELOG_CRASH"

// TestKill kills a process under load several times, and checks that each record which it was told to be on disk is in the log
// once, and that each caller's records are in the order of its calls.
func TestKill(t *testing.T) {
	if folder := os.Getenv(crashFolder); folder != "" {
		load(t, folder)
		return
	}
	const rounds, enough = 4, 1500
	o := options(t)
	acknowledged := map[string]bool{}
	for round := range rounds {
		for _, id := range killed(t, o.DataDir, fmt.Sprint("round ", round), enough+300*round) {
			acknowledged[id] = true
		}
	}
	var text lines
	o.Logger = slog.New(slog.NewTextHandler(&text, nil))
	b := open(t, o)
	if !strings.Contains(text.String(), "did not end in order") {
		t.Errorf("the log: %s", text.String())
	}
	seen, last := readAll(t, b), map[string]int{}
	for _, id := range seen {
		delete(acknowledged, id)
		caller, n, _ := strings.Cut(id, " no. ")
		var number int
		if _, err := fmt.Sscan(n, &number); err != nil || number <= last[caller] {
			t.Errorf("%q follows number %d, error %v", id, last[caller], err)
		}
		last[caller] = number
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged records of %d are lost", len(acknowledged), len(acknowledged)+len(seen))
	}
	t.Logf("%d records in the log", len(seen))
}

// readAll returns the payloads of all records.
func readAll(t *testing.T, b broker.Broker) []string {
	bounds, err := b.(broker.Bounder).Bounds(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	received := subscribe(t, b, "")
	payloads := make([]string, bounds[0].Next-bounds[0].First)
	for i := range payloads {
		select {
		case msg := <-received:
			msg.Ack()
			payloads[i] = string(msg.Payload)
		case <-time.After(30 * time.Second):
			t.Fatalf("no message after %d of %d", i, len(payloads))
		}
	}
	return payloads
}

// killed runs a child until it has told of enough records, kills it, and returns all that it has told of.
func killed(t *testing.T, folder, name string, enough int) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.count=1")
	child.Env = append(os.Environ(), crashFolder+"="+folder, "NSF_TEST_SQLITELOG_NAME="+name)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	watch := time.AfterFunc(time.Minute, func() { child.Process.Kill() })
	defer watch.Stop()
	var told []string
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil { // what was written half counts for nothing
			break
		}
		if told = append(told, strings.TrimSuffix(line, "\n")); len(told) == enough {
			child.Process.Kill()
		}
	}
	child.Wait()
	if len(told) < enough {
		t.Fatalf("%s: the child told of %d records only: %q", name, len(told), told)
	}
	return told
}

// load publishes from several callers, and tells of each record that is on disk, until it is killed.
func load(t *testing.T, folder string) {
	o := options(t)
	o.DataDir = folder
	b := open(t, o)
	name := os.Getenv("NSF_TEST_SQLITELOG_NAME")
	received := subscribe(t, b, "group")
	go func() {
		for msg := range received {
			msg.Ack()
		}
	}()
	var running sync.WaitGroup
	for caller := range 16 {
		running.Go(func() {
			for n := 1; ; n += 2 {
				msgs := messages("x", 2)
				for i, msg := range msgs {
					msg.Payload = fmt.Appendf(nil, "%s caller %d no. %d", name, caller, n+i)
				}
				publish(t, b, msgs...)
				io.WriteString(os.Stdout, string(msgs[0].Payload)+"\n"+string(msgs[1].Payload)+"\n")
			}
		})
	}
	running.Wait()
}
