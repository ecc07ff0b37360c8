package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/test/extras"
)

// load sends events over several connections, each with users of its own.
type load struct {
	answers *answers
	pool    *pool
	clients []*client

	// stop ends the sending of new events; give up ends the wait for those that are not accepted yet.
	stop, giveUp context.CancelFunc
	running      sync.WaitGroup
}

type loadOptions struct {
	connections, users int
	// pause is the time between two requests of a connection.
	pause time.Duration
	// jumps gives half of the events timestamps that jump about.
	jumps bool
	// credential is what requests show, "" for nothing.
	credential string
}

// transport is one connection.
func (o loadOptions) transport() http.RoundTripper {
	one := &http.Transport{MaxIdleConnsPerHost: 1}
	if o.credential == "" {
		return one
	}
	return extras.Bearer{Key: o.credential, Next: one}
}

// startLoad starts the load on the services of the pool.
func startLoad(ctx context.Context, p *pool, a *answers, o loadOptions) *load {
	l := &load{answers: a, pool: p}
	hard, giveUp := context.WithCancel(ctx)
	soft, stop := context.WithCancel(hard)
	l.stop, l.giveUp = stop, giveUp
	for i := range o.connections {
		c := newClient(i, p, a, o)
		for u := i; u < o.users; u += o.connections {
			// One user of four does not send again what failed.
			c.users = append(c.users, &user{name: fmt.Sprintf("user-%d", u), patient: u/o.connections%4 != 3})
		}
		l.clients = append(l.clients, c)
	}
	a.begin()
	for _, c := range l.clients {
		l.running.Go(func() { c.run(soft, hard) })
	}
	return l
}

// end stops the load and waits until everything that is to be sent again has been accepted, or until the time is over.
func (l *load) end(timeout time.Duration) {
	l.stop()
	over := time.AfterFunc(timeout, l.giveUp)
	l.running.Wait()
	over.Stop()
	l.giveUp()
	l.answers.end()
}

// history is what was sent; the load must have ended.
func (l *load) history() history {
	h := make(history)
	for _, c := range l.clients {
		for _, u := range c.users {
			h[u.name] = u.events
		}
	}
	return h
}
