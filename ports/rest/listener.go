package rest

import (
	"container/list"
	"io"
	"net"
	"net/http"
	"sync"
)

// Listener returns a listener with a bound of connections, on which requests that cannot be read are answered with problems, too,
// unless they come over TLS. Above the bound the connection that has waited longest for a request makes
// room, so that nobody keeps others out with connections that do nothing; where none waits, the new one is closed at once:
// clients then try another instance, where a queue would have them wait. The server must tell its connections' states to
// [Load.Follow].
func (l *Load) Listener(inner net.Listener) net.Listener {
	return &listener{Listener: inner, load: l, close: sync.OnceValue(inner.Close)}
}

// Follow is for [http.Server.ConnState].
func (l *Load) Follow(c net.Conn, state http.ConnState) {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = over.NetConn()
	}
	waits := state == http.StateNew || state == http.StateIdle
	l.waiting.set(c, waits)
}

type listener struct {
	net.Listener

	load *Load
	// close may be called again, by the server.
	close func() error
	// accepting is held while a connection is taken, until it is counted.
	accepting sync.Mutex
}

// Close takes no more connections. When it returns, all that have been taken are counted.
func (l *listener) Close() error {
	err := l.close()
	l.accepting.Lock()
	defer l.accepting.Unlock()
	return err
}

// Accept returns the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.admit() {
			return l.counted(c), nil
		}
		_ = c.Close()
	}
}

// admit makes room for a connection, if need be in the place of another one.
func (l *listener) admit() bool {
	if l.load.sockets.take(1) {
		return true
	}
	l.load.refusedConnections.Add(1)
	for l.load.waiting.closeOldest() {
		if l.load.sockets.take(1) {
			return true
		}
	}
	return false
}

func (l *listener) counted(c net.Conn) net.Conn {
	leave := sync.OnceFunc(l.load.leave)
	if tcp, ok := c.(*net.TCPConn); ok {
		return &tcpConn{tcp, leave}
	}
	return &conn{c, leave}
}

// tcpConn keeps what the server finds in a TCP connection beside its interface, such as the closing of one direction.
type tcpConn struct {
	*net.TCPConn

	leave func()
}

// Close closes the connection and makes room for another one.
func (c *tcpConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

// Write sends what the server writes.
func (c *tcpConn) Write(b []byte) (int, error) {
	if problem := early(b); problem != nil {
		return writeInstead(c.TCPConn, problem, b)
	}
	return c.TCPConn.Write(b)
}

type conn struct {
	net.Conn

	leave func()
}

// Close closes the connection and makes room for another one.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// Write sends what the server writes.
func (c *conn) Write(b []byte) (int, error) {
	if problem := early(b); problem != nil {
		return writeInstead(c.Conn, problem, b)
	}
	return c.Conn.Write(b)
}

// writeInstead writes the text in the place of b.
func writeInstead(w io.Writer, text, b []byte) (int, error) {
	if _, err := w.Write(text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// waiting holds the connections that wait for a request, in the order in which they began to. It is safe for concurrent use.
type waiting struct {
	mu     sync.Mutex
	order  list.List
	places map[net.Conn]*list.Element
}

func (w *waiting) set(c net.Conn, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if place := w.places[c]; place != nil {
		w.order.Remove(place)
		delete(w.places, c)
	}
	if !waits {
		return
	}
	if w.places == nil {
		w.places = make(map[net.Conn]*list.Element)
	}
	w.places[c] = w.order.PushBack(c)
}

// closeOldest closes the connection that has waited longest; false when none waits.
func (w *waiting) closeOldest() bool {
	w.mu.Lock()
	oldest := w.order.Front()
	if oldest == nil {
		w.mu.Unlock()
		return false
	}
	c, ok := w.order.Remove(oldest).(net.Conn)
	delete(w.places, c)
	w.mu.Unlock()
	if ok {
		_ = c.Close() // it may just have been closed otherwise
	}
	return true
}
