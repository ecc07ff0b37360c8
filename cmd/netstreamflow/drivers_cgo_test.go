//go:build cgo

package main

// kafkaDrivers are the schemes of the Kafka drivers in this build.
var kafkaDrivers = []string{"kafka", "confluent"}
