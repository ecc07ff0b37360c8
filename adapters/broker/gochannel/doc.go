// Package gochannel is the broker driver on Watermill's GoChannel: a log inside the process, for tests and for trying
// things out. No event is kept: it exists from its publication to the ack of its subscribers.
//
// # URL
//
// memory: and nothing else.
//
// # Delivery
//
// Publish returns when every subscriber has acked all messages of the call, or after the publish time-out; so a message
// that was published has been processed. With nobody subscribed to the topic it fails as unavailable. The messages of one
// call are delivered ahead of their acks, those of the next call after them. A nacked message is delivered again after a
// pause. A message whose subscription ends before the ack is gone, and its publication fails.
//
// The topic of the dead letters is another thing: it keeps its last records, up to 10,000 and 64 MiB of them, for as long as the
// process lives. Publish does not wait for anybody there, and each subscription begins with the first record, or where its start
// says.
//
// # Ordering
//
// A topic has one partition, number 0, and one order. Offsets begin at the Unix time of the opening in microseconds and go
// up by one, so that no position is that of a record of another process's log.
//
// # Limits
//
// Groups do not share: each subscriber has every message from its subscription on, and there is no event to replay. A
// publication waits for those of other callers to the same topic, acks included. Values may have any size.
package gochannel
