package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// pathValue returns the path's value of that name. It is unescaped once: the route was matched on the escaped path.
func pathValue(r *http.Request, name string, check func(value, pointer string) error) (string, error) {
	value := unescaped(mux.Vars(r)[name])
	if i, ok := errors.AsType[*domain.InvalidError](check(value, "/"+name)); ok {
		return "", invalidProblem(i, "path")
	}
	return value, nil
}

func unescaped(segment string) string {
	value, err := url.PathUnescape(segment)
	if err != nil {
		return segment // cannot be: net/url has unescaped the path before
	}
	return value
}

// noQuery refuses every query parameter.
func noQuery(raw string) error {
	return eachParam(raw, func(string, string) string { return "is unknown: no query parameter is allowed here" })
}

// eachParam calls set with each parameter of the query; what set says is wrong with one, a repeated one, and one that
// cannot be read, are the faults of the error.
func eachParam(raw string, set func(name, value string) (detail string)) error {
	var faults []fault
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, detail := readParam(pair)
		if detail == "" && seen[name] {
			detail = "is there more than once"
		}
		if detail == "" {
			detail = set(name, value)
		}
		seen[name] = true
		if detail != "" {
			faults = append(faults, fault{"query", "/" + pointerEscaper.Replace(name), detail})
		}
	}
	if len(faults) > 0 {
		return faulty(invalid, faults...)
	}
	return nil
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// readParam decodes a parameter. Where that fails the name is shown as it was sent.
func readParam(pair string) (name, value, detail string) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, errName := url.QueryUnescape(rawName)
	value, errValue := url.QueryUnescape(rawValue)
	switch {
	case strings.Contains(pair, ";"):
		return rawName, "", "holds a semicolon, which must be sent as %3B; parameters are separated by &"
	case errName != nil || errValue != nil:
		return rawName, "", "has a broken percent-encoding"
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return rawName, "", "is not valid UTF-8"
	}
	return name, value, ""
}

// listParams reads the parameters of a list into q; filters allows those that select by user and type.
func listParams(raw string, q *application.Query, filters bool) error {
	if raw == "" {
		return nil
	}
	return eachParam(raw, func(name, value string) string {
		set := paramSetters[name]
		if set == nil || !filters && (name == "userId" || name == "eventType") {
			return unknownParam(filters)
		}
		return set(q, value)
	})
}

func unknownParam(filters bool) string {
	if filters {
		return "is unknown: limit, cursor, order, from, to, userId and eventType are allowed"
	}
	return "is unknown: limit, cursor, order, from and to are allowed"
}

// paramSetters read a parameter's value; what they return says what is wrong with it.
var paramSetters = map[string]func(q *application.Query, value string) (detail string){
	"limit":  setLimit,
	"cursor": setCursor,
	"order":  setOrder,
	"from":   func(q *application.Query, value string) string { return setTime(&q.From, value) },
	"to":     func(q *application.Query, value string) string { return setTime(&q.To, value) },
	"userId": func(q *application.Query, value string) string {
		q.UserID = value
		return detailOf(domain.CheckUserID(value, ""))
	},
	"eventType": func(q *application.Query, value string) string {
		q.EventType = value
		return detailOf(domain.CheckEventType(value, ""))
	},
}

func setLimit(q *application.Query, value string) string {
	n, err := strconv.Atoi(value)
	// Atoi takes signs and leading zeros, too.
	if err != nil || strconv.Itoa(n) != value || n < application.MinLimit || n > application.MaxLimit {
		return fmt.Sprintf("must be a whole number from %d to %d", application.MinLimit, application.MaxLimit)
	}
	q.Limit = n
	return ""
}

func setCursor(q *application.Query, value string) string {
	if value == "" {
		return "must be the nextCursor of an earlier answer"
	}
	q.Cursor = value
	return ""
}

func setOrder(q *application.Query, value string) string {
	switch value {
	case "asc":
	case "desc":
		q.Descending = true
	default:
		return "must be asc or desc"
	}
	return ""
}

func setTime(to *time.Time, value string) string {
	t, err := domain.ParseTimestamp(value)
	if err != nil && strings.Contains(value, " ") {
		return detailOf(err) + "; a + is a space in a query unless it is sent as %2B"
	}
	if t.IsZero() {
		// The zero time would mean "no bound"; this one is next to it.
		t = t.Add(-1)
	}
	*to = t
	return detailOf(err)
}

// detailOf returns the first violation's text, "" for no error.
func detailOf(err error) string {
	if i, ok := errors.AsType[*domain.InvalidError](err); ok && len(i.Violations) > 0 {
		return i.Violations[0].Detail
	}
	return ""
}

// inQuery says that what a query found invalid was in the URL's query: the cursor, as all else has been checked before.
func inQuery(err error) error {
	if i, ok := errors.AsType[*domain.InvalidError](err); ok && len(i.Violations) > 0 {
		return invalidProblem(i, "query")
	}
	return err
}
