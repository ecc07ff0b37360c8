//go:build !cgo

package confluent

import (
	"context"
	"net/url"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Open implements [broker.Open] for a build without librdkafka: it always fails.
func Open(context.Context, *url.URL, broker.Options) (broker.Broker, error) {
	return nil, domain.Invalid("", "needs librdkafka, which this build has not: build with CGO_ENABLED=1, or use kafka://")
}
