package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

func newRebuild(environ []string) *cobra.Command {
	cfg := netstreamflow.DefaultConfig()
	cfg.LogLevel = slog.LevelWarn
	var from string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Fill a fresh store from the log",
		Long: `Fill the store that --store names from the log that --broker names, from the log's first record up to where it ends now.

Name a fresh store, such as another file or database, and have the service use it afterwards. A rebuild that was stopped or
killed goes on where the store stands when it is started again. The service's place in the log is not touched. With the
embedded log, stop the service first: one process at a time may use its folder.

  netstreamflow rebuild --store sqlite:data/rebuilt.db
  netstreamflow rebuild --broker kafka://localhost:9092 --store postgres://localhost/events2 --from 2026-01-31T00:00:00Z

In the end it prints how much was read and stored, and the checksum of all that the store holds, which does not depend on the
order. The settings of serve are understood, so that both can run with the same environment and file.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Load(cmd.Flags(), environ); err != nil {
				return err
			}
			at, err := parseFrom(from)
			if err != nil {
				return err
			}
			bar := newProgress(cmd.ErrOrStderr())
			done, err := netstreamflow.Rebuild(cmd.Context(), cfg, netstreamflow.BuiltIn(),
				netstreamflow.RebuildOptions{From: at, Progress: bar.show})
			bar.end()
			if done.Records > 0 || err == nil {
				printRebuilt(cmd, done)
			}
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "the store holds %d events, checksum %s\n", done.Contents.Events, &done.Contents)
			}
			return err
		},
	}
	cfg.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&from, "from", "", "leave out what the log took before this `time`, such as 2026-01-31T00:00:00Z")
	cmd.Flags().SortFlags = false
	return cmd
}

func parseFrom(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, &netstreamflow.SettingError{
			Setting: "--from", Value: s, Given: true, Detail: "must be a time of RFC 3339, such as 2026-01-31T00:00:00Z",
		}
	}
	return at, nil
}

func printRebuilt(cmd *cobra.Command, done netstreamflow.Rebuilt) {
	rate := float64(done.Records) / max(done.Took.Seconds(), 0.001)
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "read %d records in %s (%.0f/s): %d events stored, %d were there, %d records held no event\n",
		done.Records, done.Took.Round(time.Millisecond), rate, done.Stored, done.Duplicates, done.Rejected)
}
