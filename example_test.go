package netstreamflow_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow"
)

// A service inside a test or another program: Kafka is swapped for in-process pub/sub by the broker URL.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cfg := netstreamflow.DefaultConfig()
	cfg.Broker, cfg.Store, cfg.Listen = "memory:", "memory:", "127.0.0.1:0"
	cfg.LogOutput = io.Discard
	app, cleanup, err := netstreamflow.New(ctx, cfg, netstreamflow.BuiltIn())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cleanup()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	events := "http://" + app.Addr().String() + "/api/events"

	const id = "0190a0a0-0000-7000-8000-000000000001"
	answer, err := http.Post(events, "application/json", strings.NewReader(
		`{"eventId":"`+id+`","userId":"user-1","eventType":"page_view","timestamp":"2026-01-31T12:00:00Z","metadata":{"price":1.50}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = answer.Body.Close()
	fmt.Println(answer.Status)

	// A 202 says that the event is in the log; it can be read as soon as it is in the store, too.
	for answer.StatusCode != http.StatusOK {
		if answer, err = http.Get(events + "/" + id); err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			fmt.Printf("%s\n", body)
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	fmt.Println(<-ended)
	// Output:
	// 202 Accepted
	// {"eventId":"0190a0a0-0000-7000-8000-000000000001","userId":"user-1","eventType":"page_view","timestamp":"2026-01-31T12:00:00Z","metadata":{"price":1.50}}
	// <nil>
}
