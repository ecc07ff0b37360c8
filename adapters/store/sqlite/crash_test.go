package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/store/storetest"
	"github.com/netstreamflow/netstreamflow/application"
)

const (
	crashFolder = "NSF_SQLITE_CRASH_FOLDER"
	crashBatch  = 50
	crashEvents = 20_000
)

// crashBatches are the same in every process, but for the ids, which the events' metadata tell apart.
func crashBatches() []application.Batch {
	entries := storetest.BenchEntries(crashEvents)
	var batches []application.Batch
	for i := 0; i < len(entries); i += crashBatch {
		batches = append(batches, application.Batch{
			Topic: "events", Entries: entries[i : i+crashBatch], Taken: map[int32]int64{0: int64(i + crashBatch)},
		})
	}
	return batches
}

// TestCrashChild is the process that TestCrash kills. It says after each batch that it is there.
func TestCrashChild(t *testing.T) {
	folder := os.Getenv(crashFolder)
	if folder == "" {
		return // not that process
	}
	s := openIn(t, folder)
	for i, b := range crashBatches() {
		if _, err := s.Record(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("recorded %d\n", i+1)
	}
	fmt.Println("recorded all")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// TestCrash kills a process that records. What was recorded is there, in whole batches, and the positions with it.
func TestCrash(t *testing.T) {
	for _, after := range []int{1, 7, 40} {
		folder := t.TempDir()
		recorded := crash(t, folder, after)
		s := openIn(t, folder)
		positions, err := s.Positions(t.Context(), "events")
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		if _, err := s.Query(t.Context(), application.Query{}, func(event []byte) error {
			if want := fmt.Sprintf(`"metadata":{"page":"/products/%06d"`, count); !strings.Contains(string(event), want) {
				t.Fatalf("event %d is %s", count, event)
			}
			count++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if count < recorded*crashBatch || count%crashBatch != 0 || positions[0] != int64(count) {
			t.Errorf("%d batches were recorded; there are %d events, and the positions are %v", recorded, count, positions)
		}
		record(t, s, storetest.BenchEntries(10)...)
		closeIt(t, s)
	}
}

// crash returns how many batches were recorded before the process was killed.
func crash(t *testing.T, folder string, after int) (recorded int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestCrashChild$")
	child.Env = append(os.Environ(), crashFolder+"="+folder)
	child.Stderr = os.Stderr
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = input.Close() }()
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() { // to the end: what it said before it died counts
		if n, _ := fmt.Sscanf(lines.Text(), "recorded %d", &recorded); n == 1 && recorded == after {
			cancel()
		}
	}
	if err := child.Wait(); err == nil || recorded < after {
		t.Fatalf("the process ended by itself after %d batches: %v", recorded, err)
	}
	return recorded
}
