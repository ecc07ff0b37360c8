// Command scale measures what depends on how much is stored: filling a store from the log, the start, pages and streams at
// many events next to few, and how fast Kafka's backlog is consumed, each next to the raw insert rate of the same database
// in the same run.
//
//	go run ./test/scale stores --events 10000000 --store sqlite: --store postgres://…
//	go run ./test/scale backlog --events 1000000 --broker kafka://… --broker confluent://… --store sqlite: --store postgres://…
//
// It builds and runs the real program on loopback; PostgreSQL databases and topics are made and dropped by it. Tables are
// Markdown.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// options are what all measurements are told.
type options struct {
	events, rawEvents int
	brokers           []string
	stores            []string
	// folder holds everything, program is the binary under test.
	folder, program string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var o options
	pflag.IntVar(&o.events, "events", 1_000_000, "`number` of events")
	pflag.IntVar(&o.rawEvents, "raw-events", 1_000_000, "`number` of events of a raw insert")
	pflag.StringArrayVar(&o.brokers, "broker", nil, "broker `URL` of backlog; may be repeated")
	pflag.StringArrayVar(&o.stores, "store", []string{"sqlite:"}, "store `URL`; may be repeated")
	pflag.StringVar(&o.folder, "folder", "", "`folder` for the files; a temporary one if not given")
	pflag.Parse()
	if o.folder, err = os.MkdirTemp(o.folder, "scale-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.folder)) }()
	o.program = filepath.Join(o.folder, "netstreamflow")
	build := exec.CommandContext(ctx, "go", "build", "-o", o.program, "./cmd/netstreamflow")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the program: %w", err)
	}
	switch pflag.Arg(0) {
	case "stores":
		return measureStores(ctx, o)
	case "backlog":
		return measureBacklogs(ctx, o)
	}
	return fmt.Errorf("%q is not a measurement: stores and backlog are", pflag.Arg(0))
}

// kind is the scheme of a URL.
func kind(url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme
}

func rate(events int, took time.Duration) float64 { return float64(events) / took.Seconds() }
