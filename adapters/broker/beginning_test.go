package broker_test

import (
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

func TestBeginning(t *testing.T) {
	b := application.Bounds{First: 10, Next: 20}
	for _, test := range []struct {
		places []int64
		want   int64
	}{
		{[]int64{12}, 12}, {[]int64{10}, 10}, {[]int64{20}, 20}, {[]int64{9}, 10}, {[]int64{21}, 10}, {[]int64{broker.NoPlace}, 10},
		{[]int64{15, 12}, 12}, {[]int64{12, 15}, 12}, {[]int64{15, broker.NoPlace}, 10}, {[]int64{broker.NoPlace, 15}, 10},
		{[]int64{15, 21}, 10},
	} {
		if got := broker.Beginning(b, test.places...); got != test.want {
			t.Errorf("places %v: got %d, want %d", test.places, got, test.want)
		}
	}
	if broker.InLog(application.Bounds{First: -1001, Next: 20}, broker.NoPlace) {
		t.Error("no place is in a log")
	}
	if got := broker.PlaceOf(map[int32]int64{1: 7}, 1); got != 7 {
		t.Errorf("got the place %d, want 7", got)
	}
	if got := broker.PlaceOf(nil, 1); got != broker.NoPlace {
		t.Errorf("got the place %d of a partition that has none", got)
	}
}
