package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/store/memory"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func Example() {
	ctx := context.Background()
	store := memory.New()
	defer func() { _ = store.Close() }()

	for offset, page := range []string{"/home", "/cart", "/checkout"} {
		event, err := domain.Draft{UserID: "user-123", EventType: "page_view", Metadata: []byte(`{"page":"` + page + `"}`)}.Event(time.Now())
		if err != nil {
			fmt.Println(err)
			return
		}
		entry := application.Entry{Event: event, Position: application.Position{Partition: 0, Offset: int64(offset)}}
		for range 2 { // the log delivers at least once
			added, err := store.Record(ctx, application.Batch{Entries: []application.Entry{entry}})
			fmt.Println(page, added, err)
		}
	}

	seen := 0
	q := application.Query{UserID: "user-123", Descending: true, Limit: 2}
	next, err := store.Query(ctx, q, func([]byte) error { seen++; return nil })
	fmt.Println(seen, "events, more:", next != "", err)
	// Output:
	// /home 1 <nil>
	// /home 0 <nil>
	// /cart 1 <nil>
	// /cart 0 <nil>
	// /checkout 1 <nil>
	// /checkout 0 <nil>
	// 2 events, more: true <nil>
}
