package sqlitelog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// bounds returns the bounds of the one partition.
func bounds(t *testing.T, b broker.Bounder) application.Bounds {
	t.Helper()
	all, err := b.Bounds(t.Context(), "topic")
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// TestTrimWhilePublishing removes many records in several steps while others are published and read.
func TestTrimWhilePublishing(t *testing.T) {
	const n = 12_000
	b := open(t, options(t))
	all := messages("m", n)
	received := subscribe(t, b, "group")
	var running sync.WaitGroup
	running.Go(func() {
		for first := 0; first < n; first += 100 {
			publish(t, b, all[first:first+100]...)
		}
	})
	expect(t, received, all)
	running.Wait()
	running.Go(func() { publish(t, b, messages("later", 50)...) })
	removed, err := b.Trim(t.Context(), "topic", time.Now().Add(time.Hour), 0, map[int32]int64{0: n - 500})
	if err != nil || removed != n-500 {
		t.Errorf("%d removed, error %v", removed, err)
	}
	running.Wait()
	if got := bounds(t, b); got.First != n-500 || got.Next != n+50 {
		t.Errorf("bounds %v", got)
	}
	expect(t, received, messages("later", 50))
}

// TestTrimmersDoNotDisturbEachOther trims from several goroutines: together they remove each record once.
func TestTrimmersDoNotDisturbEachOther(t *testing.T) {
	const n = 5000
	b := open(t, options(t))
	publish(t, b, messages("m", n)...)
	var running sync.WaitGroup
	removed := make([]int64, 4)
	for i := range removed {
		running.Go(func() {
			var err error
			if removed[i], err = b.Trim(t.Context(), "topic", time.Time{}, 1, map[int32]int64{0: n}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if total := removed[0] + removed[1] + removed[2] + removed[3]; total != n {
		t.Errorf("%v removed, want %d together", removed, n)
	}
	if got := bounds(t, b); got.First != n || got.Next != n {
		t.Errorf("bounds %v", got)
	}
}

// TestTrimmedSpaceIsUsedAgain publishes and trims many times the size that the file may have.
func TestTrimmedSpaceIsUsedAgain(t *testing.T) {
	const round, kept = 400, 1 << 20
	o := options(t)
	b := open(t, o)
	for n := range 30 {
		msgs := messages(strings.Repeat("x", 2000), round)
		publish(t, b, msgs...)
		if _, err := b.Trim(t.Context(), "topic", time.Time{}, kept, map[int32]int64{0: int64(n+1) * round}); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	info, err := os.Stat(filepath.Join(o.DataDir, "log.db"))
	if err != nil || info.Size() > 5*kept {
		t.Errorf("the file has %d bytes, error %v", info.Size(), err)
	}
	b = open(t, o)
	got := bounds(t, b)
	if kept := got.Next - got.First; kept < 450 || kept > 530 {
		t.Errorf("%d records are kept", kept)
	}
}

// TestTrimOfLargeRecords bounds a step by bytes, too.
func TestTrimOfLargeRecords(t *testing.T) {
	o := options(t)
	o.MaxMessageBytes = 6 << 20
	b := open(t, o)
	for n := range 5 {
		publish(t, b, messages(strings.Repeat("x", 5<<20), 1)...)
		if got := bounds(t, b); got.Next != int64(n+1) {
			t.Errorf("bounds %v", got)
		}
	}
	removed, err := b.Trim(t.Context(), "topic", time.Time{}, 11<<20, map[int32]int64{0: 5})
	if err != nil || removed != 3 {
		t.Errorf("%d removed, error %v, want 3", removed, err)
	}
}

// TestOffsetsAtIsFast looks for many times in a long log.
func TestOffsetsAtIsFast(t *testing.T) {
	b := open(t, options(t))
	for n := range 20 {
		publish(t, b, messages(fmt.Sprint(n), 1000)...)
	}
	start := time.Now()
	for range 100 {
		found, err := b.OffsetsAt(t.Context(), "topic", time.Now().Add(time.Hour))
		if err != nil || found[0] != 20_000 {
			t.Fatalf("offsets %v, error %v", found, err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("100 searches took %v", took)
	}
}
