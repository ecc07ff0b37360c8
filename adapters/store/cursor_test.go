package store_test

import (
	"errors"
	"math"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestCursor(t *testing.T) {
	for _, want := range []store.Cursor{{}, {Seq: 1}, {Descending: true, Seq: 42}, {Seq: math.MaxInt64}, {Descending: true, Seq: -1}} {
		got, err := store.ParseCursor(want.String(), want.Descending)
		if err != nil || got != want {
			t.Errorf("%+v: got %+v, %v", want, got, err)
		}
		if _, err := store.ParseCursor(want.String(), !want.Descending); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%+v in the other direction: %v", want, err)
		}
	}
}

func TestBadCursor(t *testing.T) {
	good := store.Cursor{Seq: 7}.String()
	for i := range good {
		bad := []byte(good)
		bad[i] ^= 1
		if c, err := store.ParseCursor(string(bad), false); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%q: got %+v, %v", bad, c, err)
		}
	}
	for _, bad := range []string{"", "x", good + "A", good[1:], good + "\n", good[:5] + "\n" + good[5:]} {
		if c, err := store.ParseCursor(bad, false); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%q: got %+v, %v", bad, c, err)
		}
	}
}
