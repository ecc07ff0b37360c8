package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// What a batch takes of the memory for bodies until it is answered: its text twice, as it came and as it goes to the log, and
// eventMemory for each of its events, which is what one takes on its way beside its text. A third copy of the text is the most
// that the events of a large batch take together: it is taken as the body comes, so that a batch is not refused at its end.
const (
	batchCopies = 3
	eventMemory = 1536
)

// holdEvents takes the memory for n events of the text.
func (b *buffer) holdEvents(n int) error {
	return b.holdAll(int64(cap(b.b)) + int64(len(b.b)) + int64(n)*eventMemory)
}

// publishBatch is POST /api/events/batch.
func (a *api) publishBatch(w *answer, r *http.Request) error {
	key, err := publishParams(r)
	if err != nil {
		return err
	}
	media, err := mediaType(r, mediaJSON, mediaNDJSON)
	if err != nil {
		return err
	}
	body := newBuffer()
	defer body.free()
	body.copies = batchCopies
	if err := body.read(w, r, a.Load, a.MaxBatchBody, a.BatchTimeout); err != nil {
		return err
	}
	read := a.readArray
	if media == mediaNDJSON {
		read = a.readLines
	}
	candidates, err := read(body)
	if err != nil {
		return err
	}
	if len(candidates) == 0 {
		return a.sendResults(w, r, nil)
	}
	if err := a.charge(w, r, a.publishPolicy, len(candidates), 1); err != nil {
		return err
	}
	a.refuseForeign(w, candidates)
	// As for one event: it does not end with the client.
	results, receipt := a.Publish.Many(context.WithoutCancel(r.Context()), candidates, key)
	setDurability(w.Header(), receipt)
	return a.sendResults(w, r, results)
}

// readArray reads the events of a JSON array. An element that is not JSON makes the whole text something else than JSON.
func (a *api) readArray(body *buffer) ([]application.Candidate, error) {
	elements, err := domain.SplitArray(body.b)
	if errors.Is(err, domain.ErrTooLarge) || len(elements) > a.MaxBatch {
		return nil, a.tooMany()
	}
	if err == nil {
		err = body.holdEvents(len(elements))
	}
	if err != nil {
		return nil, err
	}
	candidates := make([]application.Candidate, len(elements))
	for i, element := range elements {
		candidates[i] = a.candidate(element)
		if syntax, ok := errors.AsType[*domain.InvalidError](candidates[i].Err); ok && syntax.Syntax {
			return nil, within(syntax, i)
		}
	}
	return candidates, nil
}

// within shows the fault of an element as one of the array.
func within(err *domain.InvalidError, i int) *problem {
	p := invalidProblem(err, "")
	for n := range p.faults {
		p.faults[n].pointer = "/" + strconv.Itoa(i) + p.faults[n].pointer
	}
	return faulty(p.kind, p.faults...)
}

// readLines reads the events of NDJSON, where each line stands for itself.
func (a *api) readLines(body *buffer) ([]application.Candidate, error) {
	if err := body.holdEvents(min(bytes.Count(body.b, []byte{'\n'})+1, a.MaxBatch)); err != nil {
		return nil, err
	}
	var candidates []application.Candidate
	for line := range bytes.SplitSeq(body.b, []byte{'\n'}) {
		line = bytes.Trim(line, " \t\r")
		if len(line) == 0 {
			continue
		}
		if len(candidates) == a.MaxBatch {
			return nil, a.tooMany()
		}
		candidates = append(candidates, a.candidate(line))
	}
	return candidates, nil
}

// candidate reads one event. One that is too large is read too: whether it is JSON decides on the array around it.
func (a *api) candidate(text []byte) application.Candidate {
	draft, err := domain.DecodeDraft(text)
	if syntax, ok := errors.AsType[*domain.InvalidError](err); ok && syntax.Syntax {
		return application.Candidate{Err: err}
	}
	if int64(len(text)) > a.MaxBody {
		return application.Candidate{Err: newProblem(tooLarge, fmt.Sprintf("the event is larger than %d bytes", a.MaxBody))}
	}
	return application.Candidate{Draft: draft, Err: err}
}

func (a *api) tooMany() *problem {
	return newProblem(tooLarge, fmt.Sprintf("the batch has more than %d events", a.MaxBatch))
}

// outcome sums up the results of a batch.
type outcome struct {
	accepted int
	// foreign is how many are of users that the caller may not write for.
	foreign int
	// failed is how many of them failed for a reason that is not the sender's, failure the first of those.
	failed  int
	failure error
}

func (a *api) outcome(results []application.Result) (o outcome) {
	for _, result := range results {
		if result.Err == nil {
			o.accepted++
			continue
		}
		switch p := problemOf(result.Err); {
		case p.kind == forbidden:
			o.foreign++
		case p.status >= http.StatusInternalServerError:
			if o.failed++; o.failure == nil {
				o.failure = result.Err
			}
		}
	}
	return o
}

// sendResults answers with one result for each event. They go out in pieces, as the answer can be larger than the batch.
func (a *api) sendResults(w *answer, r *http.Request, results []application.Result) error {
	o := a.outcome(results)
	if o.failure != nil {
		a.logFailure(r, problemOf(o.failure), o.failure)
	}
	c := a.newChunks(w)
	defer c.free()
	c.text = append(c.text, '{')
	switch {
	case len(results) == 0:
		c.problem(faulty(noneValid, fault{"", "", "holds no event: 1 to " + strconv.Itoa(a.MaxBatch) + " are allowed"}))
	case o.accepted == len(results):
		c.status = http.StatusAccepted
	case o.accepted > 0:
		c.status = http.StatusMultiStatus
	default:
		c.problem(batchProblem(o, len(results)))
	}
	c.text = append(c.text, `"accepted":`...)
	c.text = strconv.AppendInt(c.text, int64(o.accepted), 10)
	c.text = append(c.text, `,"rejected":`...)
	c.text = strconv.AppendInt(c.text, int64(len(results)-o.accepted), 10)
	c.text = append(c.text, `,"results":[`...)
	for i, result := range results {
		if i > 0 {
			c.text = append(c.text, ',')
		}
		c.text = appendResult(c.text, result)
		if err := c.spill(); err != nil {
			return c.abort(r, err)
		}
	}
	c.text = append(c.text, `]}`...)
	return c.finish(r)
}

// batchProblem says why nothing of a batch was taken.
func batchProblem(o outcome, n int) *problem {
	if o.failure != nil {
		detail := fmt.Sprintf("none of the %d events was acknowledged by the broker in time: each may or may not be in the log, and "+
			"sending it again with the same eventId or Idempotency-Key is safe", o.failed)
		if invalid := n - o.failed; invalid > 0 {
			detail += fmt.Sprintf("; %d more are not valid", invalid)
		}
		return newProblem(unavailable, detail)
	}
	if o.foreign == n {
		return newProblem(forbidden, foreignUser)
	}
	return newProblem(noneValid, fmt.Sprintf("none of the %d events is valid; results tell why", n))
}

func appendResult(b []byte, result application.Result) []byte {
	if result.Err == nil {
		b = append(append(b, `{"eventId":"`...), result.ID.String()...)
		return append(b, `"}`...)
	}
	p := problemOf(publicationError{result.Err, result.ID})
	return append(appendMembers(append(b, `{"error":{`...), p), `}}`...)
}
