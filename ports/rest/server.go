package rest

import (
	"net/http"
	"time"
)

// maxStreams is how many requests one connection of HTTP/2 may have under way.
const maxStreams = 128

// NewServer returns a server for the handler that no slow client can hold up for ever. It uses the Load and the
// timeouts of o.
//
// There is no ReadTimeout, which would be one for all bodies: the handler bounds the arrival of each by what it is, as it does the
// writing of each long answer, and brings both forward when the service ends ([Load.Drain]).
func NewServer(h http.Handler, o Options) *http.Server {
	o = o.withDefaults()
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: o.HeaderTimeout,
		WriteTimeout:      o.BatchTimeout + time.Minute,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    defaultMaxHeader,
		ConnState:         o.Load.Follow,
		// OPTIONS * is the handler's, too.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      o.IdleTimeout / 4,
			PingTimeout:          o.HeaderTimeout,
			WriteByteTimeout:     o.ChunkTimeout,
		},
	}
}
