package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
)

// chunks is an answer of any length in constant memory. Nothing is sent before the first piece is full, so that an error
// up to then can still be answered as one.
type chunks struct {
	api     *api
	w       *answer
	control *http.ResponseController
	buffer  *buffer
	// text is what is not sent yet.
	text        []byte
	status      int
	contentType []string
	// trailer names a header that is known at the end only, "" for none.
	trailer string
}

func (a *api) newChunks(w *answer) *chunks {
	b := newBuffer()
	return &chunks{
		api: a, w: w, control: http.NewResponseController(w.ResponseWriter), buffer: b, text: b.b,
		status: http.StatusOK, contentType: typeJSON,
	}
}

func (c *chunks) free() {
	c.buffer.b = c.text
	c.buffer.free()
}

// problem begins the object of a problem that has further members.
func (c *chunks) problem(p *problem) {
	c.api.setProblemHeader(c.w.Header(), p)
	c.status, c.contentType = p.status, typeProblem
	c.text = append(appendMembers(c.text, p), ',')
}

// spill sends the text when there is enough of it.
func (c *chunks) spill() error {
	if len(c.text) < bufferSize {
		return nil
	}
	return c.flush()
}

func (c *chunks) flush() error {
	if c.w.status == 0 {
		c.begin()
	}
	// A deadline for each piece: an answer may take as long as it is long, a client that reads nothing may not.
	defer c.w.deadlines.begin(c.control.SetWriteDeadline, c.api.ChunkTimeout)()
	_, err := c.w.Write(c.text)
	if cap(c.text) > maxPooled {
		c.text = c.buffer.b // one large event does not keep its memory until the end
	}
	c.text = c.text[:0]
	return err
}

func (c *chunks) begin() {
	h := c.w.Header()
	h["Content-Type"] = c.contentType
	if c.trailer != "" {
		h["Trailer"] = []string{c.trailer}
	}
	c.w.WriteHeader(c.status)
}

// finish sends the rest.
func (c *chunks) finish(r *http.Request) error {
	if c.w.status == 0 {
		c.w.Header()["Content-Length"] = []string{strconv.Itoa(len(c.text))}
		c.trailer = ""
		c.begin()
	}
	if len(c.text) == 0 || c.w.head {
		return nil
	}
	if err := c.flush(); err != nil {
		return c.abort(r, err)
	}
	return nil
}

// abort ends an answer that cannot go on: before the first byte the error is the answer, after it the connection breaks,
// so that nobody takes what came for the whole.
func (c *chunks) abort(r *http.Request, err error) error {
	if c.w.status == 0 {
		return err
	}
	if r.Context().Err() == nil && !errors.Is(err, context.Canceled) {
		c.api.logFailure(r, problemOf(err), err)
	}
	panic(http.ErrAbortHandler)
}
