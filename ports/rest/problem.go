package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// kind is a row of the table of everything that can go wrong. name ends the problem's type, a URN that stays the same
// whatever the title and the detail say.
type kind struct {
	status              int
	name, title, detail string
	// atOnce says that the answer waits for nothing that the client still sends.
	atOnce bool
}

const typePrefix = "urn:netstreamflow:problem:"

// The kinds of problems. detail is shown where nothing better is known.
var (
	malformed     = &kind{status: 400, name: "malformed", title: "The input cannot be read"}
	invalid       = &kind{status: 400, name: "invalid", title: "The input breaks a rule"}
	noneValid     = &kind{status: 400, name: "none-valid", title: "No event of the batch is valid"}
	unknownCaller = &kind{
		status: 401, name: "unauthenticated", title: "It is not known who calls", detail: "send a bearer token or an API key",
	}
	badCredentials = &kind{
		status: 401, name: "bad-credentials", title: "The token or key is not valid", detail: "the token or key is not valid here, or not any more",
	}
	forbidden = &kind{
		status: 403, name: "forbidden", title: "The caller may not do this", detail: "the caller may not do this",
	}
	notFound   = &kind{status: 404, name: "not-found", title: "Not found", detail: "no event with this id has been stored"}
	notAllowed = &kind{status: 405, name: "method-not-allowed", title: "Method not allowed"}
	notAccept  = &kind{status: 406, name: "not-acceptable", title: "No acceptable media type"}
	tooSlow    = &kind{
		status: 408, name: "timeout", title: "The body came too slowly", detail: "the body did not arrive in time",
	}
	tooLarge = &kind{
		status: 413, name: "too-large", title: "The input is too large", detail: "the event is larger than the broker takes",
	}
	lockedOut = &kind{
		status: 429, name: "too-many-failures", title: "Too many tokens or keys were not valid", atOnce: true,
		detail: "too many tokens or keys from this address were not valid; wait as Retry-After says",
	}
	notSupported = &kind{status: 415, name: "unsupported-media-type", title: "The body's media type is not supported"}
	internal     = &kind{
		status: 500, name: "internal", title: "Internal error", detail: "the service failed; the reason is in its log",
	}
	notImplemented = &kind{
		status: 501, name: "not-implemented", title: "The broker cannot do this",
		detail: "this broker's log cannot be read again",
	}
	brokerAway = &kind{
		status: 503, name: "unavailable", title: "The service is not available",
		detail: "the broker does not answer now: what was asked for may have been done or not, and asking again is safe",
	}
	unavailable = &kind{
		status: 503, name: "unavailable", title: "The service is not available",
		detail: "the store does not answer now; try again",
	}
	unacknowledged = &kind{
		status: 503, name: "unavailable", title: "The service is not available",
		detail: "the broker did not acknowledge in time: the event may or may not be in the log, and sending it again " +
			"with the same eventId or Idempotency-Key is safe",
	}
	notSent = &kind{
		status: 503, name: "unavailable", title: "The service is not available",
		detail: "the broker is away: the event was not sent to it; try again",
	}
	rebuilding = &kind{
		status: 503, name: "unavailable", title: "The service is not available",
		detail: "the events are being read from the log after the start; try again",
	}
	keysAway = &kind{
		status: 503, name: "unavailable", title: "The service is not available",
		detail: "the keys that tokens are verified with have not come yet; try again",
	}
	overloaded = &kind{
		status: 503, name: "overloaded", title: "The service has too much to do", atOnce: true,
		detail: "there is more under way than the service takes on; nothing of this request was done, try again",
	}
	limited = &kind{status: 429, name: "rate-limited", title: "Too many requests", atOnce: true}
	// uncounted is shown where the limits are held to strictly.
	uncounted = &kind{
		status: 503, name: "limiter-away", title: "The rate limits cannot be held now", atOnce: true,
		detail: "it is not known how much the caller has left; nothing of this request was done, try again",
	}
	notUp = &kind{status: 503, name: "not-up", title: "A part of the service is not up"}
)

// kinds maps what the other layers tell apart. The first match wins.
var kinds = []struct {
	is   error
	kind *kind
}{
	{domain.ErrInvalid, invalid},
	{domain.ErrTooLarge, tooLarge},
	{domain.ErrNotFound, notFound},
	{domain.ErrUnauthenticated, unknownCaller},
	{domain.ErrBadCredentials, badCredentials},
	{domain.ErrForbidden, forbidden},
	{domain.ErrOverloaded, overloaded},
	{application.ErrNotSent, notSent},
	{application.ErrRebuilding, rebuilding},
	{domain.ErrUnavailable, unavailable},
	{context.DeadlineExceeded, unavailable},
	{context.Canceled, unavailable},
	{errors.ErrUnsupported, notImplemented},
}

// fault is one violation; in says where it is if not in the body.
type fault struct{ in, pointer, detail string }

// problem is an error that is shown as it is.
type problem struct {
	*kind

	detail string
	faults []fault
	// eventID is that of the event that was to be published, all zero for none.
	eventID domain.UUID
}

// publicationError is why an event was not acknowledged.
type publicationError struct {
	error

	id domain.UUID
}

func (e publicationError) Unwrap() error { return e.error }

func newProblem(k *kind, detail string, faults ...fault) *problem {
	if detail == "" {
		detail = k.detail
	}
	return &problem{kind: k, detail: detail, faults: faults}
}

// Error is for the log.
func (p *problem) Error() string { return p.title + ": " + p.detail }

// faulty is input that breaks rules; its detail is the first of the faults.
func faulty(k *kind, faults ...fault) *problem {
	first := faults[0]
	detail := strings.TrimSpace(first.pointer + " " + first.detail)
	if more := len(faults) - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	return newProblem(k, detail, faults...)
}

// problemOf shows an error. What is not known to be fit for callers is not shown at all.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if i, ok := errors.AsType[*domain.InvalidError](err); ok && len(i.Violations) > 0 {
		return invalidProblem(i, "")
	}
	k := internal
	for _, known := range kinds {
		if errors.Is(err, known.is) {
			k = known.kind
			break
		}
	}
	publication, ok := errors.AsType[publicationError](err)
	if !ok || k.status < http.StatusInternalServerError {
		return newProblem(k, "")
	}
	if k == unavailable {
		k = unacknowledged
	}
	// With its id the client can send the event again even if it left the id to the service.
	p := newProblem(k, "")
	p.eventID = publication.id
	return p
}

func invalidProblem(err *domain.InvalidError, in string) *problem {
	k := invalid
	if err.Malformed {
		k = malformed
	}
	faults := make([]fault, len(err.Violations))
	for i, v := range err.Violations {
		faults[i] = fault{in, v.Pointer, v.Detail}
	}
	return faulty(k, faults...)
}

// fail answers with the problem that err is.
func (a *api) fail(w *answer, r *http.Request, err error) {
	p := problemOf(err)
	a.logFailure(r, p, err)
	send := func() { a.sendProblem(w, p, append(appendMembers([]byte{'{'}, p), '}')) }
	if p.atOnce {
		a.refuse(w, r, send)
		return
	}
	// Who has not shown who it is cannot make the service read what it sends.
	if p.status != http.StatusUnauthorized && p.status != http.StatusTooManyRequests {
		a.drain(r)
	}
	send()
}

func (a *api) sendProblem(w *answer, p *problem, body []byte) {
	a.setProblemHeader(w.Header(), p)
	w.send(p.status, typeProblem, body)
}

func (a *api) setProblemHeader(h http.Header, p *problem) {
	h["Cache-Control"] = noStore
	switch p.status {
	case http.StatusServiceUnavailable:
		wait := a.RetryAfter
		if p.kind == overloaded {
			wait = time.Second
		}
		h["Retry-After"] = []string{strconv.Itoa(seconds(wait))}
	case http.StatusRequestTimeout:
		h["Connection"] = closeHeader
	}
}

// logFailure logs what is wrong on this side, unless it is only that the client has gone.
func (a *api) logFailure(r *http.Request, p *problem, err error) {
	level := slog.LevelWarn
	var text string
	// The logger bounds how often a message is repeated: with two of them, a broker that is away does not hide the other.
	switch p.kind {
	case unavailable, unacknowledged, notSent, brokerAway:
		text = "a request found the broker or the store away"
	case overloaded:
		text = "a request was refused: there is too much to do"
	case internal:
		level, text = slog.LevelError, "a request failed"
	default:
		return
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return
	}
	a.Logger.LogAttrs(r.Context(), level, text, slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", p.status), slog.Any("error", err))
}

// Limits of what a problem repeats of the input.
const (
	maxFaults     = 32
	maxFaultBytes = 512
)

// appendMembers appends the problem's members, without the braces.
func appendMembers(b []byte, p *problem) []byte {
	b = append(b, `"type":"`...)
	b = append(append(b, typePrefix...), p.name...)
	b = append(b, `","title":"`...)
	b = append(b, p.title...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"detail":`...)
	b = appendText(b, p.detail)
	if p.eventID != (domain.UUID{}) {
		b = append(append(append(b, `,"eventId":"`...), p.eventID.String()...), '"')
	}
	if len(p.faults) == 0 {
		return b
	}
	b = append(b, `,"errors":[`...)
	for i, f := range p.faults[:min(len(p.faults), maxFaults)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFault(b, f)
	}
	return append(b, ']')
}

func appendFault(b []byte, f fault) []byte {
	b = append(b, '{')
	if f.in != "" {
		b = append(append(append(b, `"in":"`...), f.in...), `",`...)
	}
	b = append(b, `"pointer":`...)
	b = appendText(b, f.pointer)
	b = append(b, `,"detail":`...)
	return append(appendText(b, f.detail), '}')
}

// appendText appends a JSON string of text that may hold anything, and be long.
func appendText(b []byte, text string) []byte {
	if len(text) > maxFaultBytes {
		end := maxFaultBytes
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return domain.AppendString(b, strings.ToValidUTF8(text, "\uFFFD"))
}
