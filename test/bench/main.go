// Command bench measures POST /api/events at several numbers of connections, for each broker and for a bare net/http
// handler in the same run, and checks that every event that was answered 202 can be read back.
//
//	go run ./test/bench --broker memory: --broker kafka://127.0.0.1:9092
//
// Servers are processes of their own, on loopback; the load comes from this one. The table is Markdown.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == childArgument {
		exit(serveChild(ctx, os.Args[2]))
	}
	exit(measure(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func measure(ctx context.Context) error {
	brokers := pflag.StringArray("broker", []string{"memory:"}, "broker `URL` to measure; may be repeated")
	connections := pflag.IntSlice("connections", []int{1, 32, 256}, "`numbers` of connections")
	duration := pflag.Duration("duration", 5*time.Second, "how `long` each measurement takes")
	pflag.Parse()
	fmt.Println("| server | connections | requests/s | of bare | p50 | p95 | p99 | max | not 202 | stored |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	bare := make(map[int]float64)
	for _, server := range append([]string{bareServer}, *brokers...) {
		child, err := start(ctx, server)
		if err != nil {
			return fmt.Errorf("start %s: %w", server, err)
		}
		for _, n := range *connections {
			r, err := load(ctx, child.addr, n, *duration)
			if err != nil {
				return fmt.Errorf("load %s: %w", server, err)
			}
			if server == bareServer {
				bare[n] = r.rate()
			}
			stored := "–"
			if server != bareServer {
				if stored, err = verify(ctx, child.addr, r); err != nil {
					return fmt.Errorf("verify %s: %w", server, err)
				}
			}
			scheme, _, _ := strings.Cut(server, "//")
			fmt.Printf("| %s | %d | %.0f | %.2f | %s | %s | %s | %s | %d | %s |\n", scheme, n, r.rate(), r.rate()/bare[n],
				r.quantile(0.5), r.quantile(0.95), r.quantile(0.99), r.quantile(1), r.failed, stored)
		}
		if err := child.stop(); err != nil {
			return fmt.Errorf("stop %s: %w", server, err)
		}
	}
	return nil
}
