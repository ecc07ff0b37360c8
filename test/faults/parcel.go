package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// form is how events are sent.
type form int

const (
	// single is one event with its eventId, keyed one with an Idempotency-Key; array and lines are batches.
	single form = iota
	keyed
	array
	lines
)

// parcel is the events of one request.
type parcel struct {
	form   form
	pieces []piece
}

type piece struct {
	event *event
	// sent is the tick of the last sending.
	sent int
}

// outcome is what the service said of one event.
type outcome struct {
	accepted bool
	id       string
}

func (p parcel) name() string {
	e := p.pieces[0].event
	return fmt.Sprintf("%d events, %s n=%d first", len(p.pieces), e.user, e.n)
}

func (p parcel) body() []byte {
	var b bytes.Buffer
	if p.form == array {
		b.WriteByte('[')
	}
	for i, piece := range p.pieces {
		if i > 0 && p.form == array {
			b.WriteByte(',')
		}
		b.Write(piece.event.json())
		if p.form == lines {
			b.WriteByte('\n')
		}
	}
	if p.form == array {
		b.WriteByte(']')
	}
	return b.Bytes()
}

func (e *event) json() []byte {
	draft := map[string]any{"userId": e.user, "eventType": "fault", "metadata": map[string]any{"n": e.n}}
	if e.key == "" {
		draft["eventId"] = e.id
	}
	if !e.timestamp.IsZero() {
		draft["timestamp"] = e.timestamp.Format(time.RFC3339Nano)
	}
	text, err := json.Marshal(draft)
	if err != nil {
		panic(err) // there is nothing in it that has no JSON
	}
	return text
}

// request makes the request to a service at the address.
func (p parcel) request(ctx context.Context, addr string) (*http.Request, error) {
	path, media := "/api/events", "application/json"
	switch p.form {
	case array:
		path = "/api/events/batch"
	case lines:
		path, media = "/api/events/batch", "application/x-ndjson"
	default:
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(p.body()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", media)
	if p.form == keyed {
		req.Header.Set("Idempotency-Key", p.pieces[0].event.key)
	}
	return req, nil
}

// post sends the events once. The error says that there was no whole answer.
func (c *client) post(ctx context.Context, s *process, p parcel) ([]outcome, error) {
	req, err := p.request(ctx, s.address())
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read an answer %d: %w", res.StatusCode, err)
	}
	c.answers.count(strconv.Itoa(res.StatusCode))
	if res.Header.Get("Netstreamflow-Durability") == "spooled" {
		c.answers.count(spooledRequests)
	}
	outcomes, err := p.outcomes(res, body)
	if err != nil {
		c.answers.refuse("%s were answered with %d %s: %v", p.name(), res.StatusCode, bytes.TrimSpace(body), err)
	}
	for i, piece := range p.pieces {
		said := strconv.Itoa(res.StatusCode)
		if p.form >= array && i < len(outcomes) {
			said += fmt.Sprintf(" (accepted: %t)", outcomes[i].accepted)
		}
		piece.event.remember(said)
	}
	return outcomes, nil
}

// outcomes reads the answer; the error says that it is one that must never be.
func (p parcel) outcomes(res *http.Response, body []byte) ([]outcome, error) {
	switch {
	case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "":
		return nil, fmt.Errorf("there is no Retry-After")
	case p.form >= array:
		return p.batchOutcomes(res.StatusCode, body)
	case res.StatusCode == http.StatusServiceUnavailable:
		return []outcome{{}}, nil
	case res.StatusCode != http.StatusAccepted:
		return nil, fmt.Errorf("only 202 and 503 may be")
	}
	var answer struct{ EventID string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	e := p.pieces[0].event
	if answer.EventID == "" || e.id != "" && e.id != answer.EventID {
		return nil, fmt.Errorf("its eventId is %q, not %q", answer.EventID, e.id)
	}
	return []outcome{{true, answer.EventID}}, nil
}

// batchOutcomes reads the answer to a batch: 202 when all, 207 when some and 503 when none of the events were accepted.
func (p parcel) batchOutcomes(status int, body []byte) ([]outcome, error) {
	var answer struct {
		Accepted, Rejected int
		Results            []struct {
			EventID string
			Error   *struct{ Status int }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if len(answer.Results) != len(p.pieces) {
		return nil, fmt.Errorf("there are %d results for %d events", len(answer.Results), len(p.pieces))
	}
	outcomes := make([]outcome, len(p.pieces))
	accepted := 0
	for i, r := range answer.Results {
		switch want := p.pieces[i].event.id; {
		case r.Error == nil && r.EventID == want:
			outcomes[i] = outcome{true, want}
			accepted++
		case r.Error == nil || r.Error.Status != http.StatusServiceUnavailable:
			return nil, fmt.Errorf("result %d for %s", i, want)
		}
	}
	if status != batchStatus(accepted, len(outcomes)) || accepted != answer.Accepted || len(outcomes)-accepted != answer.Rejected {
		return nil, fmt.Errorf("%d of %d events are accepted by their results", accepted, len(outcomes))
	}
	return outcomes, nil
}

func batchStatus(accepted, count int) int {
	switch accepted {
	case count:
		return http.StatusAccepted
	case 0:
		return http.StatusServiceUnavailable
	}
	return http.StatusMultiStatus
}
