// Package storetest holds the contract of a store as a test suite: what [application.Store] promises and HTTP answers
// stand on, checked through that interface alone. Every store's own tests run it.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) application.Store { return open(t, t.TempDir()) })
//	}
package storetest

import (
	"testing"

	"github.com/netstreamflow/netstreamflow/application"
)

// Run checks what holds for every store, and for volatile ones that cursors outlive a rebuild. open returns an empty store
// each time it is called; Run closes it.
func Run(t *testing.T, open func(t *testing.T) application.Store) {
	t.Helper()
	checks := []struct {
		name  string
		check func(*stage)
	}{
		{"Empty", testEmpty},
		{"Order", testOrder},
		{"ExactBytes", testExactBytes},
		{"LargeEvents", testLargeEvents},
		{"EmptyBatch", testEmptyBatch},
		{"Dedupe", testDedupe},
		{"AllOrNone", testAllOrNone},
		{"Positions", testPositions},
		{"PositionsAllOrNone", testPositionsAllOrNone},
		{"Expire", testExpire},
		{"ExpireInOrder", testExpireInOrder},
		{"ExpireDuringQuery", testExpireDuringQuery},
		{"EventByID", testEventByID},
		{"OffsetsStartOver", testOffsetsStartOver},
		{"UserAndType", testUserAndType},
		{"OddNames", testOddNames},
		{"FromTo", testFromTo},
		{"ExtremeYears", testExtremeYears},
		{"FarOffClocks", testFarOffClocks},
		{"Paging", testPaging},
		{"PageEnds", testPageEnds},
		{"ChunkEnds", testChunkEnds},
		{"BadCursor", testBadCursor},
		{"OtherDirection", testOtherDirection},
		{"PagingWhileWriting", testPagingWhileWriting},
		{"ReadersAndWriter", testReadersAndWriter},
		{"RecordDuringQuery", testRecordDuringQuery},
		{"YieldError", testYieldError},
		{"Cancelled", testCancelled},
		{"Random", testRandom},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.check(newStage(t, open)) })
	}
	t.Run("Rebuild", func(t *testing.T) {
		if s := newStage(t, open); !s.store.Volatile() {
			return // nothing is ever rebuilt
		}
		testRebuild(t, open)
	})
}
