package main

import (
	"fmt"
	"slices"
)

// combination is a broker and a store.
type combination struct{ broker, store string }

// The brokers and stores.
const (
	kafka     = "kafka"
	confluent = "confluent"
	embedded  = "embedded"
	sqlite    = "sqlite"
	postgres  = "postgres"
	memory    = "memory"
)

func (c combination) String() string { return c.broker + "+" + c.store }

func (c combination) onKafka() bool    { return c.broker == kafka || c.broker == confluent }
func (c combination) onPostgres() bool { return c.store == postgres }
func (c combination) embedded() bool   { return c.broker == embedded }

// onDisk says that the service keeps files.
func (c combination) onDisk() bool { return c.embedded() || c.store == sqlite }

// notLibrdkafka leaves out the broker whose clock cannot be made to jump: it is written in C.
func notLibrdkafka(c combination) bool { return c.broker != confluent }

func anywhere(combination) bool { return true }

// defaults are the combinations that are tried when none is asked for.
var defaults = []combination{
	{kafka, sqlite},
	{kafka, postgres},
	{confluent, sqlite},
	{confluent, postgres},
	{embedded, sqlite},
}

// combinations crosses brokers with stores, each list standing for all of the defaults when it is empty.
func combinations(brokers, stores []string) ([]combination, error) {
	for _, b := range brokers {
		if !slices.Contains([]string{kafka, confluent, embedded}, b) {
			return nil, fmt.Errorf("there is no broker %q: kafka, confluent and embedded are there", b)
		}
	}
	for _, s := range stores {
		if !slices.Contains([]string{sqlite, postgres, memory}, s) {
			return nil, fmt.Errorf("there is no store %q: sqlite, postgres and memory are there", s)
		}
	}
	var all []combination
	if len(brokers) > 0 && len(stores) > 0 {
		for _, b := range brokers {
			for _, s := range stores {
				all = append(all, combination{b, s})
			}
		}
		return all, nil
	}
	known := append(slices.Clone(defaults), combination{kafka, memory}, combination{confluent, memory}, combination{embedded, memory})
	for _, c := range known {
		wanted := slices.Contains(brokers, c.broker) || slices.Contains(stores, c.store)
		if len(brokers)+len(stores) == 0 {
			wanted = true
		}
		if wanted && (c.store != memory || slices.Contains(stores, memory)) {
			all = append(all, c)
		}
	}
	return all, nil
}
