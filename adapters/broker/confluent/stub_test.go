//go:build !cgo

package confluent

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestOpenWithoutLibrdkafka(t *testing.T) {
	_, err := Open(t.Context(), &url.URL{Scheme: "confluent", Host: "localhost:9092"}, broker.Options{})
	if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "kafka://") {
		t.Errorf("got the error %v", err)
	}
}
