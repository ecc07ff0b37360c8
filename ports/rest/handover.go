package rest

import "context"

// HandOver has the clients of all open connections go elsewhere: every answer from now on tells its client that the connection
// closes. It returns when none is open, or ctx ends. The listeners have been closed before.
//
// Over HTTP/1.1 only an answer can say so. On a connection that is closed while it waits for a request one may be on its way, and
// its client cannot know what has become of it.
func (l *Load) HandOver(ctx context.Context) {
	l.ending.Store(true)
	for l.sockets.now.Load() > 0 {
		select {
		case <-l.left:
		case <-ctx.Done():
			return
		}
	}
}

// leave makes room for another connection.
func (l *Load) leave() {
	l.sockets.give(1)
	select {
	case l.left <- struct{}{}:
	default: // HandOver, if it is under way, has yet to look
	}
}
