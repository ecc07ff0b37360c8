package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// user sends one event after the other.
type user struct {
	name string
	// patient says that it sends again what was not accepted, until it is.
	patient bool
	events  []*event
}

// client is one connection of the load. It waits for each answer before it sends the next request.
type client struct {
	number  int
	pool    *pool
	answers *answers
	options loadOptions
	http    *http.Client
	users   []*user
	tick    int
}

// requestTimeout is more than the service may take: what is not answered by then is a broken promise.
const requestTimeout = 20 * time.Second

func newClient(number int, p *pool, a *answers, o loadOptions) *client {
	return &client{
		number: number, pool: p, answers: a, options: o,
		http: &http.Client{Transport: o.transport(), Timeout: requestTimeout},
	}
}

// run sends new events until soft ends, and what must be sent again until hard does.
func (c *client) run(soft, hard context.Context) {
	defer c.http.CloseIdleConnections()
	for soft.Err() == nil {
		c.send(hard, c.next())
		wait(soft, c.options.pause)
	}
}

// wait waits for the time, or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// next makes the events of the next request: mostly one, now and then a batch of several users.
func (c *client) next() parcel {
	switch draw := rand.IntN(100); {
	case draw < 60:
		return parcel{form: single, pieces: c.events(1)}
	case draw < 80:
		p := parcel{form: keyed, pieces: c.events(1)}
		e := p.pieces[0].event
		e.key, e.id = e.user+"/"+strconv.Itoa(e.n), ""
		return p
	case draw < 90:
		return parcel{form: array, pieces: c.events(2 + rand.IntN(12))}
	default:
		return parcel{form: lines, pieces: c.events(2 + rand.IntN(12))}
	}
}

func (c *client) events(count int) []piece {
	pieces := make([]piece, count)
	for i := range pieces {
		u := c.users[rand.IntN(len(c.users))]
		e := &event{user: u.name, n: len(u.events), id: domain.NewUUID(time.Now()).String(), patient: u.patient}
		if c.options.jumps && rand.IntN(2) == 0 {
			e.timestamp = jump()
		}
		u.events = append(u.events, e)
		pieces[i] = piece{event: e}
	}
	return pieces
}

// jump is a time that has little to do with now.
func jump() time.Time {
	const century = 100 * 365 * 24 * int64(time.Hour)
	return time.Now().Add(time.Duration(rand.Int64N(2*century) - century)).UTC()
}

// send sends the events, and again those of patient users that were not accepted.
func (c *client) send(ctx context.Context, p parcel) {
	const least, most = 10 * time.Millisecond, 200 * time.Millisecond
	for pause := least; len(p.pieces) > 0 && ctx.Err() == nil; pause = min(2*pause, most) {
		s := c.pool.pick()
		if s == nil {
			wait(ctx, least)
			continue
		}
		if p.pieces = c.attempt(ctx, s, p); len(p.pieces) > 0 {
			wait(ctx, pause)
		}
	}
}

// attempt sends the events once and returns those that are to be sent again.
func (c *client) attempt(ctx context.Context, s *process, p parcel) []piece {
	for i := range p.pieces {
		c.tick++
		if e := p.pieces[i].event; e.first == 0 {
			e.first = c.tick
		}
		p.pieces[i].sent = c.tick
		c.tick++
	}
	visit := s.visit()
	results, err := c.post(ctx, s, p)
	if err != nil {
		c.dropped(ctx, visit, p, err)
		results = nil
	}
	var again []piece
	for i, piece := range p.pieces {
		if i < len(results) && results[i].accepted {
			piece.event.accepted, piece.event.id = piece.sent+1, results[i].id
			c.answers.accept()
		} else if piece.event.patient {
			again = append(again, piece)
		}
	}
	return again
}

// dropped notes that there was no answer, which is right only when the service was being ended.
func (c *client) dropped(ctx context.Context, v visit, p parcel, err error) {
	for _, piece := range p.pieces {
		piece.event.remember(err.Error())
	}
	if ctx.Err() != nil {
		return
	}
	c.answers.count("no answer")
	if !v.mayFail() {
		c.answers.refuse("no answer to %s: %v", p.name(), err)
	}
}
