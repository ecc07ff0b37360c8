package sqlitelog_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/domain"
)

// TestFullDisk fills a small file system of its own, which only root can make: publications fail until it is made larger, and
// what was acknowledged is all there.
func TestFullDisk(t *testing.T) {
	o := options(t)
	if err := syscall.Mount("tmpfs", o.DataDir, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		t.Skipf("no file system can be made: %v", err)
	}
	t.Cleanup(func() {
		// It also fails while a file is still open.
		if err := syscall.Unmount(o.DataDir, 0); err != nil {
			t.Error(err)
		}
	})
	b := open(t, o)
	received := subscribe(t, b, "group")
	var acknowledged []*message.Message
	fill := func() (err error) {
		for err == nil {
			msgs := messages(fmt.Sprintf("%0200d", len(acknowledged)), 20)
			if err = b.Publisher().Publish("topic", msgs...); err == nil {
				acknowledged = append(acknowledged, msgs...)
			}
			if len(acknowledged) > 100_000 {
				t.Fatal("the disk does not get full")
			}
		}
		return err
	}
	for size := 6; size <= 12; size += 6 {
		for range 5 {
			if err := fill(); !errors.Is(err, domain.ErrUnavailable) {
				t.Fatalf("got the error %v", err)
			}
		}
		if err := syscall.Mount("tmpfs", o.DataDir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dm", size)); err != nil {
			t.Fatal(err)
		}
		if err := b.Ping(t.Context()); err != nil {
			t.Errorf("ping when there is room: %v", err)
		}
	}
	if err := fill(); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got the error %v", err)
	}
	expect(t, received, acknowledged)
	if got := bounds(t, b); got.Next != int64(len(acknowledged)) {
		t.Errorf("bounds %v, %d are acknowledged", got, len(acknowledged))
	}
	b.Close()
	expect(t, subscribe(t, open(t, o), ""), acknowledged)
	t.Logf("%d records", len(acknowledged))
}
