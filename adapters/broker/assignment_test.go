package broker_test

import (
	"slices"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
)

func TestAssignment(t *testing.T) {
	var a broker.Assignment
	want := func(want ...int32) {
		t.Helper()
		if got := a.Assigned(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	want()
	a.Assign([]int32{3, 0, 2})
	want(0, 2, 3)
	a.Add(1, 2)
	want(0, 1, 2, 3)
	a.Assign(nil)
	want()
	a.Add(7)
	want(7)
}
