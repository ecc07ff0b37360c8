package netstreamflow

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// reportEvery is how often the counts are logged.
const reportEvery = 10 * time.Second

// handOverGrace is how long the connections that are open go on to be served at the end, unless all are closed before. It is for clients
// that send one request after another; the others keep the end waiting.
const handOverGrace = 250 * time.Millisecond

// serverTrouble is the message of what net/http tells, such as a client's faults in a TLS handshake.
const serverTrouble = "the HTTP server reports trouble"

// works are the parts that a service is made of.
type works struct {
	cfg    valid
	logger *slog.Logger
	// These come first: a bad setting of theirs ends the program before the log is opened, which may take long and say much.
	tls           *tls.Config
	authenticator *auth.Authenticator
	store         application.Store

	handler   http.Handler
	load      *rest.Load
	broker    broker.Broker
	log       *broker.Log
	spool     *broker.Spool
	consumers consumers
	inspecting
	health    *health
	lag       *lag
	retention *retention
	telemetry *telemetry
	admin     *adminListener
}

// App is a service that is put together and runs once.
type App struct {
	works

	listening chan struct{}
	addr      net.Addr
	addrTLS   net.Addr
}

func newApp(w works) *App { return &App{works: w, listening: make(chan struct{})} }

// Listening is closed when the service takes requests.
func (a *App) Listening() <-chan struct{} { return a.listening }

// Addr is the address of the HTTP listener, once Listening is closed.
func (a *App) Addr() net.Addr { return a.addr }

// AdminAddr is the address of the admin listener, once Listening is closed; nil without one.
func (a *App) AdminAddr() net.Addr {
	if a.admin == nil {
		return nil
	}
	return a.admin.addr
}

// AddrTLS is the address of the HTTPS listener, once Listening is closed; nil where there is none.
func (a *App) AddrTLS() net.Addr { return a.addrTLS }

// Run serves until ctx ends, and then ends gracefully: it takes no new request, answers those in flight, has the consumer
// stop at a clean place and everything published flushed. The error is nil after a graceful end; it says what failed, or what was
// cut off as it took longer than it may. Clients who were cut off as they had not sent all of their request are no error.
func (a *App) Run(ctx context.Context) error {
	if isVolatile(a.broker) && a.store.Volatile() {
		a.logger.WarnContext(ctx, "broker and store are in memory: nothing outlives this process")
	}
	a.warnIfOpen(ctx)
	plain, secure, err := a.listen(ctx)
	if err != nil {
		return err
	}
	if a.admin != nil {
		if err := a.admin.start(ctx); err != nil {
			return errors.Join(err, closeAll(plain, secure))
		}
	}
	// What is in hand ends by itself when asked to; only the shutdown time-out cuts it off.
	work, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	var running sync.WaitGroup
	a.startBackground(ctx, work, &running)
	if isVolatile(a.broker) { // what is published before the consumer listens would be lost
		select {
		case <-a.consumers.recorder.Subscribed():
		case <-ctx.Done():
		}
	}
	server := rest.NewServer(a.handler, rest.Options{Logger: a.logger, Load: a.load})
	server.TLSConfig, server.ErrorLog = a.tls, slog.NewLogLogger(titled{a.logger.Handler(), serverTrouble}, slog.LevelWarn)
	served := make(chan error, 2)
	running.Go(func() { served <- server.Serve(plain) })
	if secure != nil {
		running.Go(func() { served <- server.ServeTLS(secure, "", "") })
	}
	close(a.listening)
	a.logger.InfoContext(ctx, "listening", "addr", a.addr.String(), "broker", redactURL(a.cfg.Broker), "store", redactURL(a.cfg.Store))
	if secure != nil {
		a.logger.InfoContext(ctx, "listening for TLS", "addr", a.addrTLS.String(), "tls", true)
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-served:
		err = fmt.Errorf("serve HTTP: %w", err)
	}
	return errors.Join(err, a.drain(server, []net.Listener{plain, secure}, &running, cutOff))
}

// listen opens the listener for HTTP, and that for HTTPS if there is to be one.
func (a *App) listen(ctx context.Context) (plain, secure net.Listener, err error) {
	if plain, err = new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.Listen); err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	a.addr, plain = plain.Addr(), a.load.Listener(plain)
	if a.tls == nil {
		return plain, nil, nil
	}
	address := a.cfg.listenTLS()
	if secure, err = new(net.ListenConfig).Listen(ctx, "tcp", address); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listen on %s: %w", address, err), plain.Close())
	}
	a.addrTLS = secure.Addr()
	return plain, a.load.Listener(secure), nil
}

// closeAll closes what has been opened.
func closeAll(listeners ...net.Listener) error {
	var faults []error
	for _, l := range listeners {
		if l != nil {
			faults = append(faults, l.Close())
		}
	}
	return errors.Join(faults...)
}

// warnIfOpen says so when everybody who reaches the service may use it, and not only this machine does.
func (a *App) warnIfOpen(ctx context.Context) {
	if a.cfg.isOpen() && (!isLoopback(a.cfg.Listen) || a.cfg.openTLS()) {
		a.logger.WarnContext(ctx, "everybody who reaches this service may write and read everything: there is no authentication")
	}
}

// startBackground starts what goes on beside requests. work is the context of what must be finished.
func (a *App) startBackground(ctx, work context.Context, running *sync.WaitGroup) {
	for _, c := range a.consumers.all() {
		running.Go(func() {
			if err := c.Run(work); err != nil {
				a.logger.Error("the consumer ended with an error", "error", err)
			}
		})
	}
	running.Go(func() { a.report(work) })
	running.Go(func() { a.lag.run(ctx, a.consumers.recorder.Ended()) })
	// Nothing is lost when a removal is cut off.
	running.Go(func() { a.retention.run(ctx, a.consumers.recorder.Ended()) })
	if a.letters != nil {
		running.Go(func() { a.letters.Run(ctx) })
	}
}

// drain ends everything in the order in which work flows: connections, requests, what they published, the consumer. The error of a
// server whose listener is closed is none: nobody asks for it any more.
func (a *App) drain(server *http.Server, listeners []net.Listener, running *sync.WaitGroup, cutOff context.CancelFunc) error {
	start := time.Now()
	a.logger.Info("shutting down", "timeout", a.cfg.ShutdownTimeout.String())
	a.health.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.ShutdownTimeout)
	defer cancel()
	err := errors.Join(closeAll(listeners...), a.endRequests(ctx, server, a.cfg.ShutdownTimeout*2/3))
	ended := make(chan struct{})
	go func() {
		if a.spool != nil {
			a.spool.Close() // what waits in it does so until the next start
		}
		a.log.Close()
		for _, c := range a.consumers.all() {
			c.Stop()
		}
		running.Wait()
		close(ended)
	}()
	err = errors.Join(err, a.await(ctx, ended, cutOff))
	a.telemetry.flush(ctx)
	if a.admin != nil {
		err = errors.Join(err, a.admin.stop())
	}
	a.logger.Info("ended", "took", time.Since(start).Round(time.Millisecond).String(), "clean", err == nil)
	return err
}

// endRequests has the server end in the time; the rest is for what they published, and for the consumer, which clients must not keep
// from a clean place. A client that has not sent its request, or does not take its answer, is cut off, and that is its own
// fault: the error is for requests that were accepted.
func (a *App) endRequests(ctx context.Context, server *http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a.load.Drain(timeout)
	a.handOver(ctx)
	err := server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	if accepted := a.load.Accepted(); accepted > 0 {
		err = fmt.Errorf("requests in flight were cut off (%d): %w", accepted, err)
	} else {
		a.logger.Warn("clients that were too slow were cut off", "after", timeout.String(), "error", err)
		err = nil
	}
	return errors.Join(err, server.Close())
}

// handOver gives clients time to hear, with the answer to what they are just sending, that they are to go elsewhere. Shutdown closes
// at once the connections on which no request has been seen yet.
func (a *App) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(handOverGrace, a.cfg.ShutdownTimeout/10))
	defer cancel()
	a.load.HandOver(ctx)
}

func (a *App) await(ctx context.Context, ended <-chan struct{}, cutOff context.CancelFunc) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	cutOff()
	<-ended
	return fmt.Errorf("the end took longer than %s: the consumer was cut off", a.cfg.ShutdownTimeout)
}

// report logs the counts while there is something to count.
func (a *App) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var last counts
	for {
		select {
		case <-tick.C:
			last = a.logCounts(ctx, last)
		case <-a.consumers.recorder.Ended():
			a.logCounts(ctx, last)
			return
		}
	}
}

type counts struct {
	published, consumed, stored, duplicates, deadLetters, retries int64
}

func (a *App) logCounts(ctx context.Context, last counts) counts {
	now := counts{published: a.log.Published()}
	for _, c := range a.consumers.all() {
		s := c.Stats()
		now.deadLetters += s.DeadLetters
		now.retries += s.Retries
		now.stored += s.Stored
		now.duplicates += s.Duplicates
	}
	now.consumed = a.consumers.recorder.Stats().Consumed
	if now != last {
		a.logger.InfoContext(ctx, "events", "published", now.published-last.published, "consumed", now.consumed-last.consumed,
			"stored", now.stored-last.stored, "duplicates", now.duplicates-last.duplicates,
			"deadLetters", now.deadLetters-last.deadLetters, "retries", now.retries-last.retries)
	}
	return now
}
