package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

func newConfig(environ []string) *cobra.Command {
	cfg := netstreamflow.DefaultConfig()
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the settings that are in effect, and where each comes from",
		Long: `Print the settings that are in effect with these flags, this environment and this file, as a YAML file for --config, with
the origin of each as a comment: the default, the file, the environment variable or the flag. Give it what serve is given.

  netstreamflow config --config netstreamflow.yaml
  netstreamflow config --json | jq -r '.[] | select(.set) | .name'

Secrets are masked; a reference such as vault://secret/kafka#password is shown, and nothing is fetched from elsewhere. Of URLs it
shows what the log shows, without users and parameters: those are to be written again before the file is used. A setting that
cannot be used ends it with status 2, as it does serve, also a secret that is not in the file or variable that it should be in;
what other files hold, and the parameters of URLs, serve checks.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Load(cmd.Flags(), environ); err != nil {
				return err
			}
			settings, err := cfg.Effective(cmd.Context(), netstreamflow.BuiltIn())
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetEscapeHTML(false)
				encoder.SetIndent("", "  ")
				return encoder.Encode(settings)
			}
			return netstreamflow.WriteYAML(cmd.OutOrStdout(), settings)
		},
	}
	cfg.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().SortFlags = false
	return cmd
}
