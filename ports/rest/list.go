package rest

import (
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// listAll is GET /api/events.
func (a *api) listAll(w *answer, r *http.Request) error {
	return a.list(w, r, application.Query{}, "")
}

// listUser is GET /api/events/user/{userId}.
func (a *api) listUser(w *answer, r *http.Request) error {
	user, err := pathValue(r, "userId", domain.CheckUserID)
	if err != nil {
		return err
	}
	return a.list(w, r, application.Query{UserID: user}, "userId")
}

// listType is GET /api/events/type/{eventType}.
func (a *api) listType(w *answer, r *http.Request) error {
	eventType, err := pathValue(r, "eventType", domain.CheckEventType)
	if err != nil {
		return err
	}
	return a.list(w, r, application.Query{EventType: eventType}, "eventType")
}

// event is GET /api/events/{eventId}. What can never be an event's id is no event, too.
func (a *api) event(w *answer, r *http.Request) error {
	if err := noQuery(r.URL.RawQuery); err != nil {
		return err
	}
	id, err := domain.ParseUUID(unescaped(mux.Vars(r)["eventId"]))
	if err != nil {
		return newProblem(notFound, "no event has this id: it is not a UUID of 8-4-4-4-12 hexadecimal digits, or all zero")
	}
	event, err := a.Find.Event(r.Context(), id)
	if err != nil {
		return err
	}
	if err := a.mayRead(w, event); err != nil {
		return err
	}
	w.send(http.StatusOK, typeJSON, event)
	return nil
}

// list answers with the events that q and the parameters select; q selects by the field named by, if any.
func (a *api) list(w *answer, r *http.Request, q application.Query, by string) error {
	if err := listParams(r.URL.RawQuery, &q, by == ""); err != nil {
		return err
	}
	if err := a.ownQuery(w, &q); err != nil {
		return err
	}
	addVary(w.Header(), varyAccept)
	media, err := acceptable(r.Header["Accept"])
	if err != nil {
		return err
	}
	l := listing{chunks: a.newChunks(w), lines: media == mediaNDJSON}
	defer l.free()
	if w.head {
		return l.head(r, q)
	}
	l.open(q, by)
	next, err := a.Find.Events(r.Context(), q, l.event)
	if err != nil {
		return l.abort(r, inQuery(err))
	}
	if q.Limit == 0 {
		next = ""
	}
	l.close(next)
	return l.finish(r)
}

// nextCursor is the header, or the trailer, that takes the place of the member in NDJSON.
const nextCursor = "Next-Cursor"

// listing is the answer of a list: an object around the events, or a line for each.
type listing struct {
	*chunks

	lines bool
	count int
}

func (l *listing) open(q application.Query, by string) {
	if l.lines {
		l.contentType = typeNDJSON
		if q.Limit > 0 {
			l.trailer = nextCursor
		}
		return
	}
	l.text = append(l.text, '{')
	switch by {
	case "userId":
		l.text = append(domain.AppendString(append(l.text, `"userId":`...), q.UserID), ',')
	case "eventType":
		l.text = append(domain.AppendString(append(l.text, `"eventType":`...), q.EventType), ',')
	}
	l.text = append(l.text, `"events":[`...)
}

// event takes the JSON of the next event, as it was stored.
func (l *listing) event(event []byte) error {
	if l.count > 0 && !l.lines {
		l.text = append(l.text, ',')
	}
	l.text = append(l.text, event...)
	if l.lines {
		l.text = append(l.text, '\n')
	}
	l.count++
	return l.spill()
}

// close comes behind the events, as only then their number is known.
func (l *listing) close(next string) {
	if l.lines {
		if next != "" {
			l.w.Header()[nextCursor] = []string{next}
		}
		return
	}
	l.text = append(l.text, `],"count":`...)
	l.text = strconv.AppendInt(l.text, int64(l.count), 10)
	if next != "" {
		l.text = domain.AppendString(append(l.text, `,"nextCursor":`...), next)
	}
	l.text = append(l.text, '}')
}

// head answers a HEAD: it finds the errors that a GET would find before its first byte, without reading the events.
func (l *listing) head(r *http.Request, q application.Query) error {
	q.Limit = application.MinLimit
	if _, err := l.api.Find.Events(r.Context(), q, func([]byte) error { return nil }); err != nil {
		return inQuery(err)
	}
	if l.lines {
		l.contentType = typeNDJSON
	}
	l.begin()
	return nil
}
