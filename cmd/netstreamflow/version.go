package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "netstreamflow %s (%s %s/%s)\n",
				netstreamflow.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
