package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/application"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make API keys",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyNew())
	return cmd
}

func newKeyNew() *cobra.Command {
	var k netstreamflow.APIKey
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make an API key and its entry for the file of --api-keys",
		Long: `Make an API key. The first line is the key, which is shown this once: give it to the caller. What follows is its entry for
the file of --api-keys, which holds the key's hash only.

  netstreamflow key new --name shop --scopes events:write,events:read
  netstreamflow serve --auth api-key --api-keys keys.yaml
  curl http://127.0.0.1:5000/api/events -H 'Authorization: Bearer nsf_…'

A service that runs takes the entry within a second of when the file has changed.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, entry, err := netstreamflow.NewAPIKey(k)
			if err != nil {
				return &usageError{errors.New("key new: " + err.Error())}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", key, entry)
			return err
		},
	}
	cmd.Flags().StringVar(&k.Name, "name", "", "`name` of the caller")
	cmd.Flags().StringSliceVar(&k.Scopes, "scopes", []string{application.ScopeWrite}, "`scopes`: events:write, events:read, admin")
	cmd.Flags().StringVar(&k.User, "user", "", "`userId` of the caller's own events, for --auth-own-user; the name if not given")
	cmd.Flags().SortFlags = false
	return cmd
}
