package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// maxFilterBody is the size of a filter's body in bytes.
const maxFilterBody = 64 << 10

// letterBody is a dead letter as callers see it.
type letterBody struct {
	ID        string     `json:"id"`
	Partition int32      `json:"partition"`
	Offset    int64      `json:"offset"`
	Time      time.Time  `json:"time"`
	Reason    string     `json:"reason"`
	Origin    *placeBody `json:"origin,omitempty"`
	First     *placeBody `json:"first,omitempty"`
	Attempts  int        `json:"attempts"`
	Requeues  int        `json:"requeues"`
	Consumer  string     `json:"consumer,omitempty"`
	Size      int        `json:"size"`

	keyBody
}

// placeBody is where a record stood.
type placeBody struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

func placeOf(p application.Place) *placeBody {
	if p.Topic == "" {
		return nil
	}
	return &placeBody{p.Topic, p.Partition, p.Offset}
}

func letterOf(l application.Letter) letterBody {
	return letterBody{
		ID: l.ID(), Partition: l.Partition, Offset: l.Offset, Time: l.Time.UTC(), Reason: l.Reason,
		Origin: placeOf(l.From), First: placeOf(l.First), Attempts: l.Attempts, Requeues: l.Requeues,
		Consumer: l.Consumer, Size: l.Size, keyBody: keyOf(l.Key),
	}
}

// lettersBody is a page of letters.
type lettersBody struct {
	Letters    []letterBody `json:"letters"`
	Count      int          `json:"count"`
	Open       int64        `json:"open"`
	Unlisted   int64        `json:"unlisted,omitempty"`
	NextCursor string       `json:"nextCursor,omitempty"`
}

// listLetters is GET /api/admin/dead-letters.
func (a *api) listLetters(w *answer, r *http.Request) error {
	var q application.LetterQuery
	if err := eachParam(r.URL.RawQuery, func(name, value string) string { return setLetterParam(&q, name, value) }); err != nil {
		return err
	}
	page, err := a.Letters.List(r.Context(), q)
	if err != nil {
		return adminError(inQuery(err))
	}
	body := lettersBody{
		Letters: make([]letterBody, len(page.Letters)), Count: len(page.Letters), Open: page.Open, Unlisted: page.Unlisted,
		NextCursor: page.Next,
	}
	for i, l := range page.Letters {
		body.Letters[i] = letterOf(l)
	}
	return sendJSON(w, body)
}

// setLetterParam reads a parameter into the query; what it returns says what is wrong with it.
func setLetterParam(q *application.LetterQuery, name, value string) (detail string) {
	switch name {
	case "reason":
		q.Reason = value
	case "from":
		return setTime(&q.From, value)
	case "to":
		return setTime(&q.To, value)
	case "limit":
		return setNumber(&q.Limit, value, 1, application.MaxLetters)
	case "cursor":
		q.Cursor = value
		if value == "" {
			return "must be the nextCursor of an earlier answer"
		}
	default:
		return "is unknown: reason, from, to, limit and cursor are allowed"
	}
	return ""
}

// wholeLetterBody is a letter with its record.
type wholeLetterBody struct {
	letterBody

	State string `json:"state"`
	contentBody
}

// letter is GET /api/admin/dead-letters/{id}.
func (a *api) letter(w *answer, r *http.Request) error {
	if err := noQuery(r.URL.RawQuery); err != nil {
		return err
	}
	whole, err := a.Letters.Show(r.Context(), letterID(r))
	if err != nil {
		return letterError(err)
	}
	body := wholeLetterBody{letterBody: letterOf(whole.Letter), State: "open", contentBody: contentOf(whole.Record)}
	body.keyBody = keyOf(whole.Record.Key)
	if reason := whole.Record.Headers["dead-letter-reason"]; reason != "" {
		body.Reason = reason // all of it
	}
	if whole.Settled {
		body.State = "settled"
	}
	return sendJSON(w, body)
}

// by is who does something, for the log and the mark: the caller, or where the request comes from.
func (a *api) by(w *answer, r *http.Request) string {
	if w.principal.ID != "" {
		return w.principal.ID
	}
	return a.address(r)
}

func letterID(r *http.Request) string { return unescaped(mux.Vars(r)["id"]) }

// requeuedBody says what one requeue has done.
type requeuedBody struct {
	Requeued int `json:"requeued"`
	Already  int `json:"already"`
}

// requeueLetter is POST /api/admin/dead-letters/{id}/requeue.
func (a *api) requeueLetter(w *answer, r *http.Request) error {
	if err := a.checkOrigin(r); err != nil {
		return err
	}
	if err := noQuery(r.URL.RawQuery); err != nil {
		return err
	}
	done, err := a.Letters.Requeue(r.Context(), letterID(r), a.by(w, r))
	if err != nil {
		return letterError(err)
	}
	if done {
		return sendJSON(w, requeuedBody{Requeued: 1})
	}
	return sendJSON(w, requeuedBody{Already: 1})
}

// dropLetter is DELETE /api/admin/dead-letters/{id}. It may be repeated.
func (a *api) dropLetter(w *answer, r *http.Request) error {
	if err := noQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if _, err := a.Letters.Drop(r.Context(), letterID(r), a.by(w, r)); err != nil {
		return letterError(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// filterBody selects what is to be requeued.
type filterBody struct {
	Reason string  `json:"reason"`
	From   *string `json:"from"`
	To     *string `json:"to"`
	// Limit may be written in any way that JSON has for a whole number.
	Limit  *float64 `json:"limit"`
	Cursor string   `json:"cursor"`
}

// requeueReportBody says what has been done with many letters.
type requeueReportBody struct {
	Requeued   int           `json:"requeued"`
	Failed     int           `json:"failed"`
	Failures   []failureBody `json:"failures,omitempty"`
	Left       int           `json:"left"`
	NextCursor string        `json:"nextCursor,omitempty"`
	To         time.Time     `json:"to"`
}

type failureBody struct {
	ID     string `json:"id"`
	Detail string `json:"detail"`
}

// requeueLetters is POST /api/admin/dead-letters/requeue.
func (a *api) requeueLetters(w *answer, r *http.Request) error {
	if err := noQuery(r.URL.RawQuery); err != nil {
		return err
	}
	q, err := a.letterFilter(w, r)
	if err != nil {
		return err
	}
	report, err := a.Letters.RequeueMany(r.Context(), q, a.by(w, r))
	if err != nil {
		return adminError(err)
	}
	body := requeueReportBody{
		Requeued: report.Requeued, Failed: report.Failed, Left: report.Left, NextCursor: report.Next, To: report.To.UTC(),
	}
	for _, f := range report.Failures {
		body.Failures = append(body.Failures, failureBody{f.ID, failureDetail(f.Err)})
	}
	return sendJSON(w, body)
}

// letterFilter reads the body of a requeue.
func (a *api) letterFilter(w *answer, r *http.Request) (q application.LetterQuery, err error) {
	if _, err := mediaType(r, mediaJSON); err != nil {
		return q, err
	}
	body := newBuffer()
	defer body.free()
	if err := body.read(w, r, nil, maxFilterBody, a.BodyTimeout); err != nil {
		return q, err
	}
	var f filterBody
	if err := decodeStrict(body.b, &f); err != nil {
		return q, err
	}
	q = application.LetterQuery{Reason: f.Reason, Cursor: f.Cursor}
	if f.Limit != nil {
		if q.Limit = int(*f.Limit); float64(q.Limit) != *f.Limit || q.Limit < 1 || q.Limit > application.MaxLetters {
			return q, faulty(invalid, fault{"", "/limit", fmt.Sprintf("must be a whole number from 1 to %d", application.MaxLetters)})
		}
	}
	for _, t := range []struct {
		pointer string
		text    *string
		to      *time.Time
	}{{"/from", f.From, &q.From}, {"/to", f.To, &q.To}} {
		if t.text == nil {
			continue
		}
		if detail := setTime(t.to, *t.text); detail != "" {
			return q, faulty(invalid, fault{"", t.pointer, detail})
		}
	}
	return q, nil
}

// letterError says that what was not found is a dead letter.
func letterError(err error) error {
	if errors.Is(err, domain.ErrNotFound) {
		return newProblem(notFound, "there is no dead letter with this id")
	}
	if errors.Is(err, domain.ErrTooLarge) {
		return newProblem(tooLarge, failureDetail(err))
	}
	return adminError(err)
}

// adminError says that it is the broker that is away, whatever the method.
func adminError(err error) error {
	if errors.Is(err, domain.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", newProblem(brokerAway, ""), err)
	}
	return err
}

// failureDetail says what has failed, without the words of other layers.
func failureDetail(err error) string {
	switch {
	case errors.Is(err, application.ErrIncomplete):
		return "the record was too large for the dead letters: its value is not among them"
	case errors.Is(err, domain.ErrTooLarge):
		return "the record is larger than the topic takes"
	case errors.Is(err, application.ErrBlocked):
		return application.ErrBlocked.Error()
	case errors.Is(err, domain.ErrUnavailable):
		return "the broker did not acknowledge in time; trying again is safe"
	}
	return internal.detail
}

// sendJSON answers with the value.
func sendJSON(w *answer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.send(http.StatusOK, typeJSON, text)
	return nil
}
