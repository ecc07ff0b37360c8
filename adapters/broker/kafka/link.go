package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// link makes a client's connections and can cut them all: Sarama's calls know no context, and end only when their
// connections do. It implements the dialer of golang.org/x/net/proxy.
type link struct {
	dialer net.Dialer
	whole  context.Context //nolint:containedctx // it ends when the link is cut
	end    context.CancelFunc

	mu    sync.Mutex
	conns map[*linked]struct{}
}

// newLink makes the connections of the configuration's client go through a new link.
func newLink(c *sarama.Config) *link {
	whole, end := context.WithCancel(context.Background())
	l := &link{dialer: net.Dialer{Timeout: c.Net.DialTimeout}, whole: whole, end: end, conns: map[*linked]struct{}{}}
	c.Net.Proxy.Enable = true
	c.Net.Proxy.Dialer = l
	return l
}

// Dial connects to the address.
func (l *link) Dial(network, address string) (net.Conn, error) {
	conn, err := l.dialer.DialContext(l.whole, network, address)
	if err != nil {
		return nil, err
	}
	c := &linked{Conn: conn, link: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.whole.Err(); err != nil {
		_ = conn.Close() // it was not used
		return nil, err
	}
	l.conns[c] = struct{}{}
	return c, nil
}

// cut ends all connections, and lets no new one be made. It may be repeated.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	for c := range l.conns {
		_ = c.Conn.Close() // its user gets the error
	}
	clear(l.conns)
}

// cutAfter has all calls over the link end some time after ctx; the returned function says that they have ended.
func cutAfter(ctx context.Context, l *link) (ended func()) {
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		select {
		case <-time.After(closeGrace):
		case <-done:
		}
		l.cut()
	})
	return func() {
		close(done)
		watch.Wait()
	}
}

// isCut tells whether there can be no connection any more.
func (l *link) isCut() bool { return l.whole.Err() != nil }

// linked is a connection that the link knows while it is open.
type linked struct {
	net.Conn

	link *link
}

// Close implements [net.Conn].
func (c *linked) Close() error {
	c.link.mu.Lock()
	delete(c.link.conns, c)
	c.link.mu.Unlock()
	return c.Conn.Close()
}
