package sqlitelog_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

// snapshot copies the files of an open log as a crash would leave them. Nobody may write meanwhile.
func snapshot(t *testing.T, folder string) (db, wal []byte) {
	t.Helper()
	db, err := os.ReadFile(filepath.Join(folder, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	wal, err = os.ReadFile(filepath.Join(folder, "log.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	for len(wal) > frame && len(bytes.Trim(wal[len(wal)-frame:], "\x00")) == 0 { // set aside, and not used yet
		wal = wal[:len(wal)-frame]
	}
	return db, wal
}

// restore makes a log of the files, and returns it with what it logs.
func restore(t *testing.T, db, wal []byte) (broker.Broker, *lines) {
	t.Helper()
	text := &lines{}
	o := options(t)
	o.Logger = slog.New(slog.NewTextHandler(text, nil))
	for name, content := range map[string][]byte{"log.db": db, "log.db-wal": wal} {
		if err := os.WriteFile(filepath.Join(o.DataDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, o), text
}

const frame = 24 + 4096

// torn returns the number of bytes that the log says to have cut off.
func torn(t *testing.T, text *lines) int {
	t.Helper()
	found := regexp.MustCompile(`a torn tail was cut off.* bytes=(\d+)`).FindStringSubmatch(text.String())
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRecovery opens what a crash leaves: all that was committed is there, and what was cut off is said.
func TestRecovery(t *testing.T) {
	o := options(t)
	b := open(t, o)
	const n = 50
	for _, msg := range messages("m", n) {
		publish(t, b, msg)
	}
	db, wal := snapshot(t, o.DataDir)
	last := wal[len(wal)-frame:]
	uncommitted := bytes.Clone(last)
	copy(uncommitted[4:8], make([]byte, 4)) // its checksum is wrong then, its salt is right
	garbage := bytes.Repeat([]byte("\xa5garbage"), 1000)
	for name, test := range map[string]struct {
		wal  []byte
		lost int
		torn int
	}{
		"as it was":            {wal, 0, 0},
		"garbage behind":       {append(bytes.Clone(wal), garbage...), 0, len(garbage)},
		"a little behind":      {append(bytes.Clone(wal), 1, 2, 3), 0, 3},
		"never used":           {make([]byte, 32+3*frame), n, 0},
		"zeros behind":         {append(bytes.Clone(wal), make([]byte, 2*frame)...), 0, 0},
		"broken before zeros":  {slices.Concat(wal, uncommitted, make([]byte, 3*frame+7)), 0, frame},
		"cut before zeros":     {slices.Concat(wal[:len(wal)-100], make([]byte, 100+frame)), 1, frame},
		"a broken frame":       {append(bytes.Clone(wal), uncommitted...), 0, frame},
		"cut in the last":      {wal[:len(wal)-100], 1, frame - 100},
		"cut in a header":      {wal[:len(wal)-frame+10], 1, 10},
		"cut between":          {wal[:len(wal)-frame], 1, 0},
		"a bit in the last":    {flip(wal, len(wal)-50), 1, frame},
		"a bit in the last 10": {flip(wal, len(wal)-10*frame+50), 10, 10 * frame},
	} {
		t.Run(name, func(t *testing.T) {
			restored, text := restore(t, db, test.wal)
			if !strings.Contains(text.String(), "did not end in order") || !strings.Contains(text.String(), "transactions=") {
				t.Errorf("the log %q does not tell of the recovery", text)
			}
			if got := torn(t, text); got != test.torn {
				t.Errorf("%d bytes were cut off, want %d; the log: %s", got, test.torn, text)
			}
			want := messages("m", n)[:n-test.lost]
			publish(t, restored, messages("later", 3)...)
			expect(t, subscribe(t, restored, ""), append(want, messages("later", 3)...))
		})
	}
}

func flip(wal []byte, at int) []byte {
	flipped := bytes.Clone(wal)
	flipped[at] ^= 1
	return flipped
}

// TestRecoveryOfAnOverwrittenFile fills the file "-wal" until SQLite begins it again: what is left behind the last frame is
// from its earlier use, and not torn.
func TestRecoveryOfAnOverwrittenFile(t *testing.T) {
	o := options(t)
	b := open(t, o)
	all := messages(strings.Repeat("x", 4000), 4800)
	for first := 0; first < len(all); first += 100 {
		publish(t, b, all[first:first+100]...)
	}
	db, wal := snapshot(t, o.DataDir)
	restored, text := restore(t, db, wal)
	if got := torn(t, text); got != 0 {
		t.Errorf("%d bytes were cut off; the log: %s", got, text)
	}
	if strings.Contains(text.String(), "bytes="+strconv.Itoa(len(wal)-32)) {
		t.Errorf("the file was not begun again; the log: %s", text)
	}
	expect(t, subscribe(t, restored, ""), all)
}

// TestNoRecoveryAfterAnEndInOrder opens a closed log: there is nothing to say.
func TestNoRecoveryAfterAnEndInOrder(t *testing.T) {
	o := options(t)
	b := open(t, o)
	publish(t, b, messages("m", 1)...)
	b.Close()
	text := &lines{}
	o.Logger = slog.New(slog.NewTextHandler(text, nil))
	open(t, o)
	if text.String() != "" {
		t.Errorf("the log: %s", text)
	}
}
