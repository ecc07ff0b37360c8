package netstreamflow

import (
	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/confluent"
	"github.com/netstreamflow/netstreamflow/adapters/broker/gochannel"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafka"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
	"github.com/netstreamflow/netstreamflow/adapters/secret"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/memory"
	"github.com/netstreamflow/netstreamflow/adapters/store/postgres"
	"github.com/netstreamflow/netstreamflow/adapters/store/sqlite"
)

// Drivers are the brokers and stores that a URL may name, and the sources that a secret may be in, by scheme. Add your own to
// [BuiltIn].
type Drivers struct {
	Brokers map[string]broker.Open
	Stores  map[string]store.Open
	// Secrets are the schemes of references; a secret that begins with none of them is the secret itself.
	Secrets map[string]secret.Open
}

// Schemes of brokers without a server.
const (
	schemeMemory   = "memory"
	schemeEmbedded = "sqlite-log"
)

// Schemes of secrets: schemeFile is that of one in a file, which a variable with _FILE at its end names, too, schemeEnv that of
// one in an environment variable; schemeLiteral is followed by the secret itself.
const (
	schemeFile    = "file"
	schemeEnv     = "env"
	schemeLiteral = "literal"
)

// BuiltIn returns the drivers that come with netstreamflow.
func BuiltIn() Drivers {
	return Drivers{
		Brokers: map[string]broker.Open{
			schemeMemory:   gochannel.Open,
			schemeEmbedded: sqlitelog.Open,
			"kafka":        kafka.Open,
			"confluent":    confluent.Open,
		},
		Stores: map[string]store.Open{
			"memory":     memory.Open,
			"sqlite":     sqlite.Open,
			"postgres":   postgres.Open,
			"postgresql": postgres.Open,
		},
		Secrets: map[string]secret.Open{
			schemeFile:    secret.OpenFile,
			schemeEnv:     secret.OpenEnvironment,
			schemeLiteral: secret.OpenLiteral,
			"awssm":       secret.OpenAWS,
			"azkv":        secret.OpenAzure,
			"vault":       secret.OpenVault,
		},
	}
}
