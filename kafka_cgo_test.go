//go:build cgo

package netstreamflow_test

// kafkaDrivers are the schemes of the Kafka drivers in this build.
var kafkaDrivers = []string{"kafka", "confluent"}
