package main

import (
	"strings"
	"time"
)

// event is what the load remembers of one event. Whatever the service calls it, its user and number name it.
type event struct {
	user string
	n    int
	// id is the eventId: chosen here, or told by the answer when the request carried an Idempotency-Key.
	id  string
	key string
	// patient says that it is sent again until it is accepted.
	patient bool
	// timestamp is sent when it is not zero.
	timestamp time.Time
	// first and accepted are ticks of the clock of its connection: when it was first sent, and when it was answered 202, 0 if
	// it never was. A user belongs to one connection, so that its ticks can be compared.
	first, accepted int
	answers         []string
}

// remember keeps what the event was answered: enough to see what happened to one that is lost.
func (e *event) remember(answer string) {
	const most = 20
	if len(e.answers) < most {
		e.answers = append(e.answers, time.Now().Format("15:04:05.000 ")+answer)
	}
}

func (e *event) history() string { return strings.Join(e.answers, "; ") }

// stored is an event as the service shows it.
type stored struct {
	id, user  string
	n         int
	timestamp time.Time
}

// history is everything that was sent, by user, each user's events in the order in which they were first sent.
type history map[string][]*event

func (h history) count() (sent, accepted int) {
	for _, events := range h {
		for _, e := range events {
			if sent++; e.accepted > 0 {
				accepted++
			}
		}
	}
	return sent, accepted
}
