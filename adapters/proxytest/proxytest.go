// Package proxytest stands between a test's client and a server, which it takes away and gives back.
package proxytest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
)

// Proxy passes bytes on to a server. It is safe for concurrent use.
type Proxy struct {
	// Address is where it listens.
	Address string

	target  string
	running sync.WaitGroup

	mu       sync.Mutex
	free     *sync.Cond
	listener net.Listener
	stalled  bool
	conns    []net.Conn
}

// New starts a proxy for the server at the address, which ends with the test.
func New(t *testing.T, target string) *Proxy {
	t.Helper()
	p := &Proxy{Address: "127.0.0.1:0", target: target}
	p.free = sync.NewCond(&p.mu)
	p.Start(t)
	t.Cleanup(func() {
		p.Stop()
		p.running.Wait()
	})
	return p
}

// Start lets connections in, and through.
func (p *Proxy) Start(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = false
	p.free.Broadcast()
	if p.listener != nil {
		return
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	p.Address, p.listener = listener.Addr().String(), listener
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				p.connect(client)
			}
		}
	})
}

// connect has the client's bytes passed on; while everything is kept back, the server need not be there.
func (p *Proxy) connect(client net.Conn) {
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, client)
	if err == nil {
		p.conns = append(p.conns, server)
		p.running.Go(func() { p.pass(client, server) })
		p.running.Go(func() { p.pass(server, client) })
	}
	if p.listener == nil || err != nil && !p.stalled {
		p.end()
	}
}

// pass copies until an end is closed, and then closes the other one.
func (p *Proxy) pass(from, to net.Conn) {
	defer to.Close() //nolint:errcheck // it has been cut
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.stalled {
			p.free.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// Stop refuses connections, and ends those that there are.
func (p *Proxy) Stop() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.stalled = false
	p.free.Broadcast()
	p.mu.Unlock()
	p.Cut()
}

// Stall keeps everything back.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

// Cut ends the connections that there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// end is Cut, with the lock.
func (p *Proxy) end() {
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
