package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands between the service and a server, and does harm to the connections.
type proxy struct{ *toxiproxy.Proxy }

// startProxy listens on an address, which may have the port 0, for connections to another one.
func startProxy(listen, upstream string) (proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := proxy{toxiproxy.NewProxy(server, "proxy", listen, upstream)}
	if err := p.Start(); err != nil {
		return proxy{}, fmt.Errorf("start a proxy on %s: %w", listen, err)
	}
	return p, nil
}

// stream is a direction: upstream is from the service to the server.
const (
	upstream   = "upstream"
	downstream = "downstream"
)

type attributes map[string]int

// add does the harm of the kind to all connections of now and later, in one direction.
func (p proxy) add(kind, stream string, a attributes) error {
	text, err := json.Marshal(map[string]any{"name": kind + stream, "type": kind, "stream": stream, "attributes": a})
	if err != nil {
		return err
	}
	if _, err := p.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		return fmt.Errorf("add the toxic %s: %w", kind, err)
	}
	return nil
}

// mend ends all harm.
func (p proxy) mend(ctx context.Context) { p.Toxics.ResetToxics(ctx) }
