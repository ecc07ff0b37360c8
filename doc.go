// Package netstreamflow takes user activity events over HTTP, makes them durable in an ordered log, consumes the log in the
// background into a store, and answers queries from that store.
//
// It is the composition root: [New] puts a service together from a [Config] and [Drivers], and [App.Run] runs it. Tests swap
// Kafka for in-process pub/sub by the broker URL alone:
//
//	cfg := netstreamflow.DefaultConfig()
//	cfg.Broker, cfg.Store, cfg.Listen = "memory:", "memory:", "127.0.0.1:0"
//	app, cleanup, err := netstreamflow.New(ctx, cfg, netstreamflow.BuiltIn())
//
// An adapter of your own is an entry in the drivers: d.Brokers["pulsar"] = pulsar.Open.
package netstreamflow
