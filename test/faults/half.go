package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// half is a request of which the service has read the header and waits for the body.
type half struct {
	parcel parcel
	conn   net.Conn
	text   *bufio.Reader
}

// sendHalves sends the headers of a few requests, of users of their own. The service's 100 Continue tells that it is at
// work on each of them.
func (r *run) sendHalves(ctx context.Context, s *process, round int) ([]half, error) {
	const count = 3
	var all []half
	for i := range count {
		e := &event{user: fmt.Sprintf("half-%d-%d", round, i), id: domain.NewUUID(time.Now()).String(), first: 1}
		r.extra[e.user] = []*event{e}
		h, err := sendHalf(ctx, s.address(), r.credential(), parcel{form: single, pieces: []piece{{event: e}}})
		if err != nil {
			return nil, fmt.Errorf("begin a request: %w", err)
		}
		all = append(all, h)
	}
	return all, nil
}

func sendHalf(ctx context.Context, addr, credential string, p parcel) (half, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return half{}, err
	}
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return half{}, err
	}
	h := half{parcel: p, conn: conn, text: bufio.NewReader(conn)}
	header := fmt.Sprintf("POST /api/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Expect: 100-continue\r\n", addr, len(p.body()))
	if credential != "" {
		header += "Authorization: Bearer " + credential + "\r\n"
	}
	if _, err := io.WriteString(conn, header+"\r\n"); err != nil {
		return half{}, err
	}
	res, err := http.ReadResponse(h.text, nil)
	if err != nil {
		return half{}, err
	}
	_ = res.Body.Close() // an interim answer has none
	if res.StatusCode != http.StatusContinue {
		return half{}, fmt.Errorf("answered with %s before the body", res.Status)
	}
	return h, nil
}

// finish sends the body: the answer must be one that the service gives.
func (r *run) finish(h half) {
	e := h.parcel.pieces[0].event
	if err := h.complete(); err != nil {
		e.remember(err.Error())
		r.fault("a request in flight when SIGTERM came: %s eventId %s: %v", e.user, e.id, err)
		return
	}
	e.remember("202")
	e.accepted = 2
}

func (h half) complete() error {
	defer h.conn.Close() //nolint:errcheck // the answer has been read
	if _, err := h.conn.Write(h.parcel.body()); err != nil {
		return err
	}
	res, err := http.ReadResponse(h.text, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	outcomes, err := h.parcel.outcomes(res, body)
	if err != nil {
		return err
	}
	if !outcomes[0].accepted {
		return fmt.Errorf("answered with %d %s", res.StatusCode, body)
	}
	return nil
}
