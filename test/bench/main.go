// Command bench measures POST /api/events at several numbers of connections, for each broker and for a bare net/http
// handler in the same run, and checks that every event that was answered 202 can be read back.
//
//	go run ./test/bench --broker memory: --broker kafka://127.0.0.1:9092
//
// Servers are processes of their own, on loopback; the load comes from this one. The table is Markdown.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow/test/extras"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) >= 3 && os.Args[1] == childArgument {
		exit(serveChild(ctx, os.Args[2], os.Args[3:]))
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

func measure(ctx context.Context) (err error) {
	brokers := pflag.StringArray("broker", []string{"memory:"}, "broker `URL` to measure; may be repeated")
	connections := pflag.IntSlice("connections", []int{1, 32, 256}, "`numbers` of connections")
	duration := pflag.Duration("duration", 5*time.Second, "how `long` each measurement takes")
	everything := pflag.Bool("everything", false, "measure each broker again with API keys, limits of callers (in NSF_TEST_REDIS if that is set), TLS, metrics and traces")
	pflag.Parse()
	var with *extras.Extras
	if *everything {
		if with, err = extras.New(os.Getenv("NSF_TEST_REDIS")); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, with.Check(), with.Close()) }()
	}
	fmt.Println("| server | connections | requests/s | of bare | of plain | p50 | p95 | p99 | max | not 202 | stored |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	bare, err := table{connections: *connections, duration: *duration}.measure(ctx, bareServer, nil)
	if err != nil {
		return err
	}
	for _, server := range *brokers {
		t := table{connections: *connections, duration: *duration, bare: bare}
		if t.plain, err = t.measure(ctx, server, nil); err != nil {
			return err
		}
		if with == nil {
			continue
		}
		if _, err := t.measure(ctx, server, with); err != nil {
			return err
		}
	}
	return nil
}

// table is what the rows of one server have in common.
type table struct {
	connections []int
	duration    time.Duration
	// bare and plain are the rates of the bare handler, and of the service without extras, by number of connections.
	bare, plain map[int]float64
}

// measure prints the rows of a server, and returns its rates.
func (t table) measure(ctx context.Context, server string, with *extras.Extras) (map[int]float64, error) {
	child, err := start(ctx, server, with)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", server, err)
	}
	name, _, _ := strings.Cut(server, "//")
	var header string
	if with != nil {
		name += " with everything"
		header = "Authorization: Bearer " + with.Key + "\r\n"
	}
	rates := make(map[int]float64)
	for _, n := range t.connections {
		r, err := load(ctx, child.addr, header, n, t.duration)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", server, err)
		}
		rates[n] = r.rate()
		stored := "–"
		if server != bareServer {
			if stored, err = verify(ctx, child.addr, r); err != nil {
				return nil, fmt.Errorf("verify %s: %w", server, err)
			}
		}
		fmt.Printf("| %s | %d | %.0f | %s | %s | %s | %s | %s | %s | %d | %s |\n", name, n, r.rate(), part(r.rate(), t.bare[n]),
			part(r.rate(), t.plain[n]), r.quantile(0.5), r.quantile(0.95), r.quantile(0.99), r.quantile(1), r.failed, stored)
	}
	if err := child.stop(); err != nil {
		return nil, fmt.Errorf("stop %s: %w", server, err)
	}
	return rates, nil
}

func part(rate, of float64) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", rate/of)
}
