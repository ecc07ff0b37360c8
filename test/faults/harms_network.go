package main

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// proxyBroker puts a proxy before Kafka. Kafka has a listener whose clients are told to go on with the proxy, as they
// connect to the address that they are told.
func proxyBroker(_ context.Context, r *run) error {
	if r.servers.proxied == "" || r.servers.proxy == "" {
		return errors.New("NSF_TEST_KAFKA_PROXIED and NSF_TEST_KAFKA_PROXY do not name a listener of Kafka for a proxy: set KAFKA_PROXY_PORT for scripts/kafka")
	}
	r.brokerURL = r.kafkaURL(r.servers.proxy)
	return r.startProxy(r.servers.proxy, r.servers.proxied)
}

// proxyStore puts a proxy before PostgreSQL.
func proxyStore(_ context.Context, r *run) error {
	u, err := url.Parse(r.storeURL)
	if err != nil {
		return err
	}
	if err := r.startProxy("127.0.0.1:0", u.Host); err != nil {
		return err
	}
	u.Host = r.proxy.Listen
	r.storeURL = u.String()
	return nil
}

func (r *run) startProxy(listen, upstream string) (err error) {
	if r.proxy, err = startProxy(listen, upstream); err != nil {
		return err
	}
	r.onCleanUp(func() error {
		r.proxy.Stop()
		return nil
	})
	return nil
}

// slowNetwork delays everything, in both directions, by a time that varies.
func slowNetwork(ctx context.Context, r *run) error {
	delay := attributes{"latency": 150, "jitter": 100}
	if err := errors.Join(r.proxy.add("latency", upstream, delay), r.proxy.add("latency", downstream, delay)); err != nil {
		return err
	}
	r.harms++
	wait(ctx, r.lasting)
	r.proxy.mend(ctx)
	return nil
}

// cutNetwork resets connections for a while, then has them hang, then refuses them, with a breath in between.
func cutNetwork(ctx context.Context, r *run) error {
	third := r.lasting / 3
	for _, cut := range []func() error{
		func() error { return r.proxy.add("reset_peer", downstream, attributes{"timeout": 50}) },
		func() error { return r.proxy.add("timeout", upstream, attributes{"timeout": 0}) },
		func() error { r.proxy.Stop(); return nil },
	} {
		if err := cut(); err != nil {
			return err
		}
		r.harms++
		wait(ctx, third)
		r.proxy.mend(ctx)
		if !r.proxy.Enabled {
			if err := r.proxy.Start(); err != nil {
				return err
			}
		}
		wait(ctx, time.Second)
	}
	return nil
}
