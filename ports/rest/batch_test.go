package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	batchPath = "/api/events/batch"
	asNDJSON  = "Content-Type: application/x-ndjson"
)

type batchBody struct {
	Accepted, Rejected int
	Results            []resultBody
}

func TestBatchOutcomes(t *testing.T) {
	const good, bad = `{"userId":"u","eventType":"t"}`, `{"userId":"","eventType":"t"}`
	tests := map[string]struct {
		events             []string
		status             int
		accepted, rejected int
	}{
		"one":           {[]string{good}, 202, 1, 0},
		"all":           {[]string{good, good, good}, 202, 3, 0},
		"some":          {[]string{bad, good, bad}, 207, 1, 2},
		"none":          {[]string{bad, bad}, 400, 0, 2},
		"a double key":  {[]string{`{"userId":"u","userId":"u","eventType":"t"}`, good}, 207, 1, 1},
		"deep nesting":  {[]string{nested(100_000), good}, 207, 1, 1},
		"a wrong value": {[]string{good, `[]`, `1`, `null`, `"x"`}, 207, 1, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bodies := map[string]string{
				asJSON:   " [" + strings.Join(test.events, " ,\n") + "]\n",
				asNDJSON: strings.Join(test.events, "\r\n\n \n"),
			}
			for contentType, body := range bodies {
				s := newService(t)
				w := s.send(http.MethodPost, batchPath, body, contentType)
				assert.Equal(t, test.status, w.StatusCode, w.body)
				b := decode[batchBody](t, w)
				assert.Equal(t, test.accepted, b.Accepted)
				assert.Equal(t, test.rejected, b.Rejected)
				require.Len(t, b.Results, len(test.events))
				for i, event := range test.events {
					assert.Equal(t, event == good, b.Results[i].EventID != "")
					assert.Equal(t, event != good, b.Results[i].Error != nil)
				}
				assert.Len(t, s.store.stored(), test.accepted)
			}
		})
	}
}

func TestBatchResultIsAProblem(t *testing.T) {
	s := newService(t)
	w := s.post(batchPath, `[{"userId":"u","eventType":"t"},{"userId":1,"x":2}]`)
	p := decode[batchBody](t, w).Results[1].Error
	require.NotNil(t, p)
	assert.Equal(t, typePrefix+"invalid", p.Type)
	assert.Equal(t, 400, p.Status)
	assert.Equal(t, []string{"/userId", "/x", "/eventType"}, p.pointers())
	assert.NotEmpty(t, p.Title)
	assert.NotEmpty(t, p.Detail)
}

func TestBatchRefusedAsAWhole(t *testing.T) {
	const good = `{"userId":"u","eventType":"t"}`
	many := func(n int) string { return strings.Repeat(good+",", n-1) + good }
	tests := map[string]struct {
		contentType, body string
		status            int
		pointers          []string
	}{
		"nothing":                   {asJSON, "", 400, []string{""}},
		"no lines":                  {asNDJSON, "\n \r\n\n", 400, []string{""}},
		"no elements":               {asJSON, " [ ] ", 400, []string{""}},
		"an object":                 {asJSON, good, 400, []string{""}},
		"not closed":                {asJSON, "[" + good, 400, []string{""}},
		"something behind":          {asJSON, "[" + good + "]]", 400, []string{""}},
		"an element that ends":      {asJSON, "[" + good + `,{"userId":}]`, 400, []string{"/1/userId"}},
		"an element that is none":   {asJSON, "[" + good + "," + good + ",," + good + "]", 400, []string{"/2"}},
		"text as an element":        {asJSON, "[" + good + ",hello]", 400, []string{"/1"}},
		"a comma behind":            {asJSON, "[" + good + ",]", 400, []string{"/1"}},
		"lines sent as JSON":        {asJSON, good + "\n" + good, 400, []string{""}},
		"10,001 elements":           {asJSON, "[" + many(10_001) + "]", 413, nil},
		"10,001 lines":              {asNDJSON, strings.ReplaceAll(many(10_001), "},{", "}\n{"), 413, nil},
		"millions of elements":      {asJSON, "[" + strings.Repeat("1,", 4<<20) + "1]", 413, nil},
		"more than 16 MiB":          {asJSON, "[" + strings.Repeat(" ", 16<<20) + "]", 413, nil},
		"an element cut by the end": {asJSON, `[{"userId":"u`, 400, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			w := s.send(http.MethodPost, batchPath, test.body, test.contentType)
			assert.Equal(t, test.status, w.StatusCode)
			p := decode[problemBody](t, w)
			if test.pointers != nil {
				assert.Equal(t, test.pointers, p.pointers())
			}
			assert.Empty(t, p.Results)
			assert.Zero(t, s.log.published())
		})
	}
}

func TestBatchLinesStandForThemselves(t *testing.T) {
	const good = `{"userId":"u","eventType":"t"}`
	s := newService(t)
	lines := []string{"hello", good, `{"userId":`, good + good, "\ufeff" + good, "[" + good + "]", "\xff", good}
	w := s.send(http.MethodPost, batchPath, strings.Join(lines, "\n"), asNDJSON)
	assert.Equal(t, http.StatusMultiStatus, w.StatusCode)
	b := decode[batchBody](t, w)
	require.Len(t, b.Results, len(lines))
	for i, result := range b.Results {
		assert.Equal(t, lines[i] == good, result.Error == nil, lines[i])
	}
}

func TestBatchOf10000(t *testing.T) {
	s := newService(t)
	var lines []string
	for i := range 10_000 {
		lines = append(lines, fmt.Sprintf(`{"userId":"u%d","eventType":"t"}`, i%7))
	}
	var sent []domain.Event
	s.log.publish = func(_ context.Context, events []domain.Event) error {
		sent = slices.Clone(events)
		return domain.ErrTooLarge // keeps the fake store, which looks for duplicates one by one, out of it
	}
	s.send(http.MethodPost, batchPath, strings.Join(lines, "\n"), asNDJSON)
	require.Len(t, sent, 10_000)
	for i, e := range sent {
		require.Equal(t, fmt.Sprintf("u%d", i%7), e.UserID())
	}
	assert.Equal(t, 1, s.log.published())
}

func TestBatchLargeElement(t *testing.T) {
	s := newService(t, func(o *Options) { o.MaxBody = 200 })
	const good = `{"userId":"u","eventType":"t"}`
	large := `{"userId":"u","eventType":"t","metadata":{"a":"` + strings.Repeat("x", 200) + `"}}`
	w := s.post(batchPath, "["+large+","+good+"]")
	assert.Equal(t, http.StatusMultiStatus, w.StatusCode)
	b := decode[batchBody](t, w)
	assert.Equal(t, http.StatusRequestEntityTooLarge, b.Results[0].Error.Status)
	assert.NotEmpty(t, b.Results[1].EventID)
	w = s.post(batchPath, "["+good+","+strings.Repeat("x", 300)+"]")
	assert.Equal(t, []string{"/1"}, decode[problemBody](t, w).pointers(), "what is not JSON counts first")
}

func TestBatchBrokerFailures(t *testing.T) {
	const good, bad = `{"userId":"u","eventType":"t"}`, `{}`
	away := fmt.Errorf("%w: dial tcp 10.1.2.3", domain.ErrUnavailable)
	tests := map[string]struct {
		err                error
		body               string
		status             int
		accepted, rejected int
		results            []int
	}{
		"none":                 {away, "[" + good + "," + good + "]", 503, 0, 2, []int{503, 503}},
		"none of the valid":    {away, "[" + bad + "," + good + "]", 503, 0, 2, []int{400, 503}},
		"none, for no reason":  {errors.New("x"), "[" + good + "]", 503, 0, 1, []int{500}},
		"none, as all too big": {domain.ErrTooLarge, "[" + good + "]", 400, 0, 1, []int{413}},
		"some":                 {application.PublishError{nil, away, nil}, "[" + good + "," + good + "," + bad + "," + good + "]", 207, 2, 2, []int{0, 503, 400, 0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.log.publish = func(context.Context, []domain.Event) error { return test.err }
			w := s.post(batchPath, test.body)
			assert.Equal(t, test.status, w.StatusCode, w.body)
			assert.NotContains(t, w.body, "10.1.2.3")
			b := decode[batchBody](t, w)
			assert.Equal(t, []int{test.accepted, test.rejected}, []int{b.Accepted, b.Rejected})
			for i, want := range test.results {
				got := 0
				if b.Results[i].Error != nil {
					got = b.Results[i].Error.Status
				}
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestBatchIdempotencyKey(t *testing.T) {
	const body = `[{"userId":"u","eventType":"t"},{"userId":"u","eventType":"t"},{"eventId":"` + someID + `","userId":"u","eventType":"t"}]`
	s := newService(t)
	first := decode[batchBody](t, s.post(batchPath, body, "Idempotency-Key: k"))
	again := decode[batchBody](t, s.post(batchPath, body, "Idempotency-Key: k"))
	assert.Equal(t, first, again)
	assert.NotEqual(t, first.Results[0], first.Results[1])
	assert.Equal(t, someID, first.Results[2].EventID)
	assert.Len(t, s.store.stored(), 3)
}

func TestBatchAnswerLongerThanAPiece(t *testing.T) {
	s := newService(t)
	w := s.post(batchPath, "["+strings.Repeat(`{"x":1},`, 2_000)+`{"userId":"u","eventType":"t"}]`)
	assert.Equal(t, http.StatusMultiStatus, w.StatusCode)
	assert.Len(t, decode[batchBody](t, w).Results, 2_001)
	w = s.post(batchPath, "["+strings.Repeat(`{"x":1},`, 2_000)+`{}]`)
	assert.Equal(t, http.StatusBadRequest, w.StatusCode)
	assert.Len(t, decode[problemBody](t, w).Results, 2_001)
}
