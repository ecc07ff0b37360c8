package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// publishOne is POST /api/events.
func (a *api) publishOne(w *answer, r *http.Request) error {
	key, err := publishParams(r)
	if err != nil {
		return err
	}
	if _, err := mediaType(r, mediaJSON); err != nil {
		return err
	}
	body := newBuffer()
	defer body.free()
	if err := body.read(w, r, a.Load, a.MaxBody, a.BodyTimeout); err != nil {
		return err
	}
	draft, err := domain.DecodeDraft(body.b)
	if err != nil {
		return err
	}
	if err := a.mayWrite(w, draft.UserID); err != nil {
		return err
	}
	// A client that goes away must not leave the event half-way to the log; the use case has a time-out of its own.
	event, receipt, err := a.Publish.One(context.WithoutCancel(r.Context()), draft, key)
	if err != nil {
		return publicationError{err, event.ID()}
	}
	id := event.ID().String()
	setDurability(w.Header(), receipt)
	w.Header()["Location"] = []string{"/api/events/" + id}
	text := append(body.b[:0], `{"message":"Event published successfully","eventId":"`...)
	text = append(append(text, id...), `"}`...)
	w.send(http.StatusAccepted, typeJSON, text)
	return nil
}

// setDurability tells the client that the broker has not got everything yet.
func setDurability(h http.Header, receipt application.Receipt) {
	if receipt.Spooled > 0 {
		h["Netstreamflow-Durability"] = durabilitySpooled
	}
}

// publishParams returns the idempotency key, "" for none, and refuses query parameters: there are none.
func publishParams(r *http.Request) (key string, err error) {
	if r.URL.RawQuery != "" {
		if err := noQuery(r.URL.RawQuery); err != nil {
			return "", err
		}
	}
	return idempotencyKey(r.Header["Idempotency-Key"])
}

const maxKeyLen = 255

func idempotencyKey(values []string) (string, error) {
	const name = "Idempotency-Key"
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", headerProblem(invalid, name, "is there twice")
	}
	key := strings.Trim(values[0], " \t")
	if key == "" || len(key) > maxKeyLen || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", headerProblem(invalid, name, "must be 1 to 255 printable ASCII characters")
	}
	return key, nil
}
