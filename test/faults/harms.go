package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// harm is one thing that goes wrong.
type harm struct {
	name, about string
	// fits says where the harm makes sense.
	fits func(combination) bool
	// possible says why this machine cannot do it, if it cannot.
	possible func() error
	// services is how many run from the start, one if it is 0.
	services int
	// prepare is called before the service starts, and inflict under load. What inflict breaks, it mends. It counts in
	// r.harms what it did.
	prepare, inflict func(ctx context.Context, r *run) error
	// verify checks what only this harm promises, after the load.
	verify func(ctx context.Context, r *run) error
	// clock makes the service's clock jump, and the timestamps that the load sends.
	clock bool
}

// harms is everything that the suite can do.
var harms = []harm{
	{
		name: "kill", about: "SIGKILL of the service at random moments, also while it starts; started again at once",
		fits: anywhere, inflict: killService,
	},
	{
		name: "term", about: "SIGTERM under load with requests half-way in: all are answered, the exit status is 0; started again",
		fits: anywhere, inflict: terminateService,
	},
	{
		name: "instances", about: "three services share group and store; one after another is killed, and a new one joins",
		fits: combination.onPostgres, services: 3, inflict: onInstances,
	},
	{
		name: "kafka-kill", about: "SIGKILL of Kafka, which is started again",
		fits: combination.onKafka, inflict: outlived(broker, killServer("kafka")),
	},
	{
		name: "kafka-pause", about: "Kafka is stopped by SIGSTOP and goes on after a while",
		fits: combination.onKafka, inflict: outlived(broker, pauseServer("kafka")),
	},
	{
		name: "spool", about: "Kafka is killed and stays away for a while, and the service has a spool: every event is accepted",
		fits: combination.onKafka, prepare: useSpool, inflict: outlived(broker, kafkaAway), verify: checkSpooled,
	},
	{
		name: "spool-kill", about: "the same, and the service is killed while events wait in its spool",
		fits: combination.onKafka, prepare: useSpool, inflict: kafkaAwayAndKills, verify: checkSpooled,
	},
	{
		name: "postgres-kill", about: "SIGKILL of PostgreSQL, which is started again",
		fits: combination.onPostgres, inflict: outlived(store, killServer("postgres")),
	},
	{
		name: "postgres-pause", about: "PostgreSQL is stopped by SIGSTOP and goes on after a while",
		fits: combination.onPostgres, inflict: outlived(store, pauseServer("postgres")),
	},
	{
		name: "slow-broker", about: "a proxy delays all between service and Kafka",
		fits: combination.onKafka, prepare: proxyBroker, inflict: outlived(nothing, slowNetwork),
	},
	{
		name: "cut-broker", about: "a proxy resets the connections to Kafka, then lets them hang, then refuses them",
		fits: combination.onKafka, prepare: proxyBroker, inflict: bridged(broker, cutNetwork),
	},
	{
		name: "slow-store", about: "a proxy delays all between service and PostgreSQL",
		fits: combination.onPostgres, prepare: proxyStore, inflict: outlived(nothing, slowNetwork),
	},
	{
		name: "cut-store", about: "a proxy resets the connections to PostgreSQL, then lets them hang, then refuses them",
		fits: combination.onPostgres, prepare: proxyStore, inflict: bridged(store, cutNetwork),
	},
	{
		name: "full-disk", about: "the disk of the data folder is full for a while; needs root, for a small file system",
		fits: combination.onDisk, possible: canMount, prepare: smallDisk, inflict: outlived(disk, fillDisk), verify: checkFiles,
	},
	{
		name: "poison", about: "another producer writes records that are no events; each must be a dead letter",
		fits: combination.onKafka, inflict: poisonTopic, verify: checkDeadLetters,
	},
	{
		name: "clock", about: "the service's clock jumps forward and back by up to a year, and so do the timestamps that clients send",
		fits: notLibrdkafka, clock: true, inflict: passJumps, verify: checkJumps,
	},
}

// chosen returns the harms with the names, all of them where there is no name.
func chosen(names []string) ([]harm, error) {
	if len(names) == 0 {
		return harms, nil
	}
	var all []harm
	for _, name := range names {
		i := slices.IndexFunc(harms, func(h harm) bool { return h.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no harm %q: see --list", name)
		}
		all = append(all, harms[i])
	}
	return all, nil
}

// list describes the harms and where they fit.
func list() string {
	var b strings.Builder
	for _, h := range harms {
		var where []string
		for _, c := range defaults {
			if h.fits(c) {
				where = append(where, c.String())
			}
		}
		fmt.Fprintf(&b, "%-13s %s\n%-13s on %s\n", h.name, h.about, "", strings.Join(where, ", "))
	}
	return b.String()
}
