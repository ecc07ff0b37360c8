package netstreamflow

import (
	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/confluent"
	"github.com/netstreamflow/netstreamflow/adapters/broker/gochannel"
	"github.com/netstreamflow/netstreamflow/adapters/broker/kafka"
	"github.com/netstreamflow/netstreamflow/adapters/broker/sqlitelog"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/memory"
)

// Drivers are the brokers and stores that a URL may name, by scheme. Add your own to [BuiltIn].
type Drivers struct {
	Brokers map[string]broker.Open
	Stores  map[string]store.Open
}

// Schemes of brokers without a server.
const (
	schemeMemory   = "memory"
	schemeEmbedded = "sqlite-log"
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
			"memory": memory.Open,
		},
	}
}
