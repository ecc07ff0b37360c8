package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"time"
)

// servers are the addresses of Kafka and PostgreSQL, as scripts/kafka env and scripts/postgres env print them.
type servers struct {
	kafka string
	// proxied is a listener of Kafka that tells clients to connect to proxy.
	proxied, proxy string
	postgres       string
}

func serversFromEnvironment() servers {
	return servers{
		kafka:    os.Getenv("NSF_TEST_KAFKA"),
		proxied:  os.Getenv("NSF_TEST_KAFKA_PROXIED"),
		proxy:    os.Getenv("NSF_TEST_KAFKA_PROXY"),
		postgres: os.Getenv("NSF_TEST_POSTGRES"),
	}
}

func (s servers) check(tasks []task) error {
	for _, t := range tasks {
		c := t.combination
		if c.onKafka() && s.kafka == "" {
			return errors.New("NSF_TEST_KAFKA does not name a Kafka: see scripts/kafka env")
		}
		if c.onPostgres() && s.postgres == "" {
			return errors.New("NSF_TEST_POSTGRES does not name a PostgreSQL: see scripts/postgres env")
		}
	}
	return nil
}

// control runs a command of scripts/kafka or scripts/postgres, which know their server by the environment.
func control(ctx context.Context, script string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "scripts/"+script, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/%s %v: %w\n%s", script, args, err, out)
	}
	return nil
}

// prepareBroker gives the run a topic of its own.
func (r *run) prepareBroker() error {
	if r.combination.embedded() {
		r.brokerURL = "sqlite-log:"
		return nil
	}
	r.brokerURL = r.kafkaURL(r.servers.kafka)
	r.onCleanUp(func() error { return deleteTopics(r.servers.kafka, r.name, r.deadLetterTopic()) })
	return nil
}

func (r *run) kafkaURL(addr string) string {
	return (&url.URL{Scheme: r.combination.broker, Host: addr}).String()
}

func (r *run) deadLetterTopic() string { return r.name + ".dlq" }

// prepareStore gives the run a store of its own.
func (r *run) prepareStore(ctx context.Context) error {
	switch r.combination.store {
	case postgres:
		return r.prepareDatabase(ctx)
	default:
		r.storeURL = r.combination.store + ":"
		return nil
	}
}
