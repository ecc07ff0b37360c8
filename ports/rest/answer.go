package rest

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Header values that many answers share. Nothing may change them.
var (
	typeJSON    = []string{"application/json"}
	typeNDJSON  = []string{"application/x-ndjson"}
	typeProblem = []string{"application/problem+json"}

	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	closeHeader = []string{"close"}

	varyAccept   = []string{"Accept"}
	varyEncoding = []string{"Accept-Encoding"}
	noReferrer   = []string{"no-referrer"}
	onlyTLS      = []string{"max-age=31536000"}

	durabilitySpooled = []string{"spooled"}
)

// answer is the response, and knows whether it has begun.
type answer struct {
	http.ResponseWriter

	// head says that the answer must have no body.
	head bool
	// status is 0 until the header is sent.
	status int
	// route is the path of the resource, with its parameters' names, "" where there is none.
	route string
	// bodyBegun says that the request's body is being read, bodyRead that nothing of it is left.
	bodyBegun, bodyRead bool
	// principal is who calls.
	principal Principal
	// deadlines are those of the service, nil for none that are brought forward.
	deadlines *deadlines
	// ending says that the client is to go elsewhere; nil where it never is.
	ending *atomic.Bool
}

// takeTimeout is how long a client may take to receive an answer that is more than one piece.
const takeTimeout = 2 * time.Minute

// addVary keeps what was said before: the answer varies by the origin, too, where pages of other sites may call.
func addVary(h http.Header, names []string) {
	if said := h["Vary"]; said != nil {
		names = []string{strings.Join(said, ", ") + ", " + names[0]}
	}
	h["Vary"] = names
}

func asAnswer(w http.ResponseWriter) *answer {
	if ans, ok := w.(*answer); ok {
		return ans
	}
	return &answer{ResponseWriter: w}
}

// Unwrap lets [http.ResponseController] find the connection.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the header. Over HTTP/2, too, net/http takes the one of the connection for a wish to end it.
func (w *answer) WriteHeader(status int) {
	if w.ending != nil && w.ending.Load() {
		w.Header()["Connection"] = closeHeader
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// send is a whole answer.
func (w *answer) send(status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if !w.head {
		if len(body) > bufferSize {
			defer w.deadlines.begin(http.NewResponseController(w.ResponseWriter).SetWriteDeadline, takeTimeout)()
		}
		// The client that is gone is the only error.
		_, _ = w.Write(body) //nolint:gosec // no page: all of it is JSON, or comes with the program
	}
}
