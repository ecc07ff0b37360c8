package main

import (
	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

func newServe(environ []string) *cobra.Command {
	cfg := netstreamflow.DefaultConfig()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service until SIGTERM or SIGINT",
		Long: `Run the service until SIGTERM or SIGINT, which end it gracefully; a second one ends it at once.

Every setting can be given as a flag, as an environment variable or as a key of a YAML file:

  netstreamflow serve --publish-timeout 5s
  NETSTREAMFLOW_PUBLISH_TIMEOUT=5s netstreamflow serve
  netstreamflow serve --config netstreamflow.yaml       # publish-timeout: 5s

A flag goes before the environment, the environment before the file, the file before the default. A secret may come from a
file: NETSTREAMFLOW_BROKER_PASSWORD_FILE=/run/secrets/kafka. An unknown setting or a bad value ends the program with status 2.
netstreamflow config shows the settings that are in effect, and where each comes from.

In place of a secret, a reference to it may be given; secrets are fetched again while the service runs (--secrets-refresh):
  file:PATH                         a file
  env:NAME                          an environment variable
  awssm://NAME                      AWS Secrets Manager; ?region=, ?key= of a JSON object, ?version=
  azkv://VAULT/NAME                 Azure Key Vault; ?version=
  vault://MOUNT/PATH#FIELD          HashiCorp Vault, key-value engine version 2
  literal:SECRET                    the secret itself, where it begins like one of these

Brokers:
  memory:                           in this process; for tests and first steps: nothing outlives it
  sqlite-log:                       an embedded durable log: the file log.db in --data-dir; needs no server
  sqlite-log:PATH                   the same in another file
  kafka://host:9092,host:9092       Apache Kafka
  confluent://host:9092,host:9092   Apache Kafka through librdkafka (needs a build with cgo)
    ?tls=true&ca-file=PATH          parameters of both: TLS, with the CA to trust
    ?sasl=SCRAM-SHA-512&username=U  PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; the password is --broker-password
Stores:
  memory:                           in this process, rebuilt from the log at every start
  sqlite:                           the file events.db under --data-dir
  sqlite:PATH                       another file
  postgres://user@host/database     PostgreSQL, which instances may share; the password is --store-password
    ?sslmode=verify-full            parameters as PostgreSQL's own clients take them
    ?search_path=SCHEMA             the schema that holds the tables

Metrics, health and profiles are at --admin-listen, http://127.0.0.1:5001/ by default. Traces go where OpenTelemetry's own
variables say, such as OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318; without one there are none.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Load(cmd.Flags(), environ); err != nil {
				return err
			}
			app, cleanup, err := netstreamflow.New(cmd.Context(), cfg, netstreamflow.BuiltIn())
			if err != nil {
				return err
			}
			defer cleanup()
			return app.Run(cmd.Context())
		},
	}
	cfg.AddFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}
