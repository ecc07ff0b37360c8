// Command netstreamflow is the service, and the tools around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

// The exit statuses.
const (
	statusFailed = 1
	statusUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has been taken, the next one ends the process as if nobody listened.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Environ()))
}

// run executes the command line and returns the exit status; what went wrong is one line on standard error.
func run(ctx context.Context, args, environ []string) int {
	root := newRoot(environ)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "netstreamflow:", err)
	var usage *usageError
	var setting *netstreamflow.SettingError
	if errors.As(err, &usage) || errors.As(err, &setting) {
		return statusUsage
	}
	return statusFailed
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "netstreamflow",
		Short: "Takes user activity events over HTTP, keeps them in an ordered log, and answers queries",
		Long: `netstreamflow takes user activity events over HTTP (POST /api/events), makes them durable in an ordered log,
consumes that log in the background into a store, and answers queries from it (GET /api/events).

Start it with its defaults, send an event and read it back:

  netstreamflow serve
  curl -i http://127.0.0.1:5000/api/events -H 'Content-Type: application/json' \
       -d '{"userId":"user-1","eventType":"page_view","metadata":{"page":"/home"}}'
  curl http://127.0.0.1:5000/api/events/user/user-1

The API is described, and can be tried, at http://127.0.0.1:5000/swagger.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("unknown command %q: serve, rebuild, verify, dlq, config, health, key and version are there, see --help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return netstreamflow.FlagError(err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(environ), newRebuild(environ), newVerify(environ), newDLQ(environ), newConfig(environ), newHealth(environ), newKey(), newVersion())
	return root
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%s takes no argument but flags", cmd.Name())} // what was given may be a secret
	}
	return nil
}
