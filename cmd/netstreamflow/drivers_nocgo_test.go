//go:build !cgo

package main

import (
	"strings"
	"testing"
)

// kafkaDrivers are the schemes of the Kafka drivers in this build.
var kafkaDrivers = []string{"kafka"}

func TestConfluentWithoutCgoSaysSo(t *testing.T) {
	status, _, stderr := output(t, nil, "serve", "--broker", "confluent://127.0.0.1:9092")
	if status != 2 || !strings.Contains(stderr, "CGO_ENABLED=1") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d %s", status, stderr)
	}
}
