package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/application"
)

func newVerify(environ []string) *cobra.Command {
	cfg := netstreamflow.DefaultConfig()
	cfg.LogLevel = slog.LevelWarn
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare the store with the log; status 0 when they agree, else 1",
		Long: `Compare the store that --store names with the log that --broker names, and report what is missing in the store, what is in the
store only, what differs, and what stands in another order for one user.

What the store has not taken yet, and what --retention has dropped, need not be there. Nothing is changed. With the embedded
log, stop the service first: one process at a time may use its folder. The settings of serve are understood.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Load(cmd.Flags(), environ); err != nil {
				return err
			}
			bar := newProgress(cmd.ErrOrStderr())
			report, err := netstreamflow.Verify(cmd.Context(), cfg, netstreamflow.BuiltIn(), bar.show)
			bar.end()
			if err != nil {
				return err
			}
			printReport(cmd.OutOrStdout(), report)
			if !report.Agrees() {
				return errors.New("the store does not agree with the log")
			}
			return nil
		},
	}
	cfg.AddFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}

func printReport(w io.Writer, r *application.Report) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	say("log:   %d events, checksum %s", r.Log.Events, &r.Log)
	say("store: %d events, checksum %s", r.Store.Events, &r.Store)
	for _, f := range []struct {
		what string
		application.Findings
	}{
		{"missing in the store", r.Missing},
		{"extra in the store", r.Extra},
		{"different", r.Different},
		{"out of order", r.Misplaced},
	} {
		say("%s: %d", f.what, f.Count)
		for _, example := range f.Examples {
			say("  %s", example)
		}
	}
	if r.Older > 0 {
		say("older than the log: %d events", r.Older)
	}
	if r.Exempt > 0 {
		say("not taken yet, or dropped by retention: %d events", r.Exempt)
	}
}
