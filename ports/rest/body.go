package rest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// buffer is memory that is used again: for bodies, and for the answers that are made from them.
type buffer struct {
	b []byte
	// load is nil where the buffer is not for a body. held is how much of the memory for bodies this one has, publishing says
	// that it is in flight.
	load       *Load
	held       int64
	publishing bool
	// copies is how often the memory counts as the body comes, for what is made of it: once for zero.
	copies int64
	// announced is the length that the header tells, 0 where it tells none.
	announced int64
}

const (
	bufferSize = 32 << 10
	// maxPooled keeps a few large bodies from holding their memory for ever.
	maxPooled = 4 * bufferSize
)

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, bufferSize)} }}

func newBuffer() *buffer {
	b, ok := buffers.Get().(*buffer)
	if !ok {
		return &buffer{}
	}
	return b
}

// free gives the memory back; nothing may use it any more.
func (b *buffer) free() {
	if b.held > 0 {
		b.load.bodies.give(b.held)
	}
	if b.publishing {
		b.load.publishing.give(1)
	}
	b.load, b.held, b.publishing, b.copies, b.announced = nil, 0, false, 0, 0
	if cap(b.b) <= maxPooled {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

// read fills the buffer with the request's body of at most limit bytes. A body's memory grows as it comes in: what the
// header says that it will be costs the sender nothing. With the whole body the request is in flight until the buffer is freed:
// senders that take their time do not keep others out. Without a load there are no bounds.
func (b *buffer) read(w *answer, r *http.Request, load *Load, limit int64, timeout time.Duration) error {
	if r.ContentLength > limit {
		return bodyTooLarge(limit)
	}
	b.load, b.announced = load, max(0, r.ContentLength)
	// Of HTTP/2 one connection has many requests: their number does not bound the first piece of each body.
	if load != nil && r.ProtoMajor > 1 && !b.hold(bufferSize) {
		return errBodies
	}
	// The deadline ends nothing but the reading: HTTP/1 forgets it at the body's end, and HTTP/2 holds no more than the body to it.
	defer w.deadlines.begin(http.NewResponseController(w.ResponseWriter).SetReadDeadline, timeout)()
	body := io.Reader(r.Body)
	if r.ContentLength < 0 {
		body = http.MaxBytesReader(w.ResponseWriter, r.Body, limit)
	}
	w.bodyBegun = true
	if err := b.readAll(body, limit); err != nil {
		return bodyError(err)
	}
	w.bodyRead = true
	if len(b.b) == 0 {
		return faulty(malformed, fault{"", "", "the body is empty"})
	}
	if load == nil {
		return nil
	}
	if b.publishing = load.publishing.take(1); !b.publishing {
		return errRequests
	}
	return nil
}

func (b *buffer) readAll(body io.Reader, limit int64) error {
	for {
		if len(b.b) == cap(b.b) {
			if err := b.grow(limit); err != nil {
				return err
			}
		}
		n, err := body.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow doubles the buffer, up to what the body needs, if there is memory left for bodies. A body of which an eighth has come as
// announced gets all that it needs: else many that grow at the same time would keep each other from ever being whole.
func (b *buffer) grow(limit int64) error {
	old := int64(cap(b.b))
	size := min(2*old, limit+1) // one more than the limit, to find the end
	if b.announced >= old && b.announced/8 <= old {
		size = b.announced + 1
	}
	size = max(size, old+bufferSize)
	if more := size - max(old, bufferSize); b.load != nil && more > 0 && !b.hold(more*max(1, b.copies)) {
		return errBodies
	}
	grown := make([]byte, len(b.b), size)
	copy(grown, b.b)
	b.b = grown
	return nil
}

// hold takes n bytes of the memory for bodies until the buffer is freed.
func (b *buffer) hold(n int64) bool {
	if !b.load.bodies.take(n) {
		return false
	}
	b.held += n
	return true
}

// holdAll takes what is left of n bytes, of which the buffer may have some.
func (b *buffer) holdAll(n int64) error {
	if more := n - b.held; b.load != nil && more > 0 && !b.hold(more) {
		return errBodies
	}
	return nil
}

func bodyTooLarge(limit int64) *problem {
	return newProblem(tooLarge, fmt.Sprintf("the body is larger than %d bytes", limit))
}

func bodyError(err error) error {
	if errors.Is(err, domain.ErrOverloaded) {
		return err
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge(large.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newProblem(tooSlow, "")
	}
	return faulty(malformed, fault{"", "", "the body ended early, or its encoding is broken"})
}

// drain reads what is left of a body that was refused: a client that is still sending would otherwise see its connection
// break before it sees the answer. One that waits for "100 Continue" sends nothing before the answer.
func (a *api) drain(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.Header.Get("Expect") != "" || r.ContentLength > 2*a.MaxBatchBody {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, 2*a.MaxBatchBody)
}

// Media types of bodies.
const (
	mediaJSON   = "application/json"
	mediaNDJSON = "application/x-ndjson"
)

// mediaType returns the body's media type if it is one of the allowed.
func mediaType(r *http.Request, allowed ...string) (string, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", headerProblem(notSupported, "Content-Encoding", "must be identity: encoded bodies are not taken")
	}
	values := r.Header["Content-Type"]
	if len(values) != 1 {
		return "", wrongMediaType(allowed)
	}
	if values[0] == allowed[0] {
		return allowed[0], nil
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil || !slices.Contains(allowed, media) {
		return "", wrongMediaType(allowed)
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", headerProblem(notSupported, "Content-Type", "must have the charset utf-8, or none")
	}
	return media, nil
}

func wrongMediaType(allowed []string) *problem {
	return headerProblem(notSupported, "Content-Type", "must be there once, as "+strings.Join(allowed, " or "))
}

func headerProblem(k *kind, name, detail string) *problem {
	return faulty(k, fault{"header", "/" + name, detail})
}
