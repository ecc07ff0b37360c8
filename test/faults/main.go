// Command faults does harm to the running service - the real program, against a real Kafka and a real PostgreSQL - while
// events are sent to it, and then checks every promise: nothing that was answered 202 is lost, nothing is stored twice,
// events of one user are stored in the order in which they were accepted, and no answer is other than it may be.
//
//	go run ./test/faults --broker kafka --store sqlite --harm kill --times 20
//
// It is run from the root of the repository. docs/faults.md tells more.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow/test/extras"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := suite(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func suite(ctx context.Context) (err error) {
	brokers := pflag.StringArray("broker", nil, "`broker`: kafka, confluent or embedded; may be repeated (default: all)")
	stores := pflag.StringArray("store", nil, "`store`: sqlite, postgres or memory; may be repeated (default: sqlite and postgres)")
	names := pflag.StringArray("harm", nil, "`name` of a harm; may be repeated (default: all)")
	times := pflag.Int("times", 5, "`number` of harms of a kind that is repeated")
	seconds := pflag.Float64("seconds", 20, "`seconds` that a harm lasts, of a kind that lasts")
	users := pflag.Int("users", 32, "`number` of users")
	connections := pflag.Int("connections", 8, "`number` of connections of the load")
	ci := pflag.Bool("ci", false, "make a short selection of runs instead, which covers every harm and every combination")
	everything := pflag.Bool("everything", false, "run the service with API keys, limits of callers (in NSF_TEST_REDIS if that is set), TLS, metrics and traces")
	listing := pflag.Bool("list", false, "list the harms")
	pflag.Parse()
	if *listing {
		fmt.Print(list())
		return nil
	}
	if *users < *connections || *connections < 1 || *times < 1 || *seconds <= 0 {
		return errors.New("--users must be as many as --connections or more, and --times and --seconds more than 0")
	}
	o := options{users: *users, connections: *connections, servers: serversFromEnvironment()}
	if *everything {
		if o.extras, err = extras.New(os.Getenv("NSF_TEST_REDIS")); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.extras.Check(), o.extras.Close()) }()
	}
	if *ci {
		return runAll(ctx, o, possible(short()))
	}
	all, err := combinations(*brokers, *stores)
	if err != nil {
		return err
	}
	which, err := chosen(*names)
	if err != nil {
		return err
	}
	tasks := plan(all, which, *times, time.Duration(*seconds*float64(time.Second)))
	if len(*names) == 0 {
		tasks = possible(tasks)
	}
	return runAll(ctx, o, tasks)
}
