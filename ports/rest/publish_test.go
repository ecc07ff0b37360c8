package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const someID = "01920c3e-9f2a-7cc0-8000-5d2c1f0e4b11"

func TestPublishAnswer(t *testing.T) {
	s := newService(t)
	w := s.post("/api/events", `{"eventId":"`+someID+`","userId":"u","eventType":"t"}`)
	assert.Equal(t, http.StatusAccepted, w.StatusCode)
	assert.Equal(t, `{"message":"Event published successfully","eventId":"`+someID+`"}`, w.body)
	assert.Equal(t, "application/json", w.Header.Get("Content-Type"))
	assert.Equal(t, "/api/events/"+someID, w.Header.Get("Location"))
	assert.Equal(t, http.StatusOK, s.get(w.Header.Get("Location")).StatusCode)
}

func TestPublishAccepted(t *testing.T) {
	tests := map[string]struct{ body, stored string }{
		"metadata as it was sent": {
			`{"userId":"u","eventType":"t","metadata":{"b":1.50,"a":1E+030,"n":12345678901234567890}}`,
			`"metadata":{"b":1.50,"a":1E+030,"n":12345678901234567890}}`,
		},
		"metadata with space":    {`{"userId":"u","eventType":"t","metadata": { "a" : "b c" } }`, `"metadata":{"a":"b c"}}`},
		"no metadata":            {`{"userId":"u","eventType":"t"}`, `"metadata":{}}`},
		"timestamp with offset":  {`{"userId":"u","eventType":"t","timestamp":"2026-01-31T12:00:00.120+02:00"}`, `"timestamp":"2026-01-31T10:00:00.12Z"`},
		"timestamp in low case":  {`{"userId":"u","eventType":"t","timestamp":"2026-01-31t12:00:00z"}`, `"timestamp":"2026-01-31T12:00:00Z"`},
		"eventId in upper case":  {`{"eventId":"` + strings.ToUpper(someID) + `","userId":"u","eventType":"t"}`, `"eventId":"` + someID + `"`},
		"escapes":                {`{"userId":"\u00fc\/\"\\","eventType":"\ud83d\ude00"}`, `"userId":"ü/\"\\","eventType":"😀"`},
		"a user of spaces":       {`{"userId":"  ","eventType":"t"}`, `"userId":"  "`},
		"the longest names":      {`{"userId":"` + strings.Repeat("ü", 128) + `","eventType":"` + strings.Repeat("t", 128) + `"}`, `"userId":"üü`},
		"the deepest nesting":    {`{"userId":"u","eventType":"t","metadata":` + nested(63) + `}`, `"metadata":` + nested(63)},
		"space around it":        {" \r\n\t{\"userId\":\"u\",\"eventType\":\"t\"}\n", `"userId":"u"`},
		"a key twice in levels":  {`{"userId":"u","eventType":"t","metadata":{"a":{"a":1}}}`, `{"a":{"a":1}}`},
		"a name that is escaped": {`{"user\u0049d":"u","eventType":"t"}`, `"userId":"u"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			id := s.publish(test.body)
			assert.Contains(t, s.get("/api/events/"+id).body, test.stored)
		})
	}
}

func nested(levels int) string {
	return strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1)
}

func TestPublishBadBody(t *testing.T) {
	const rest = `"userId":"u","eventType":"t"}`
	tests := map[string]struct {
		body     string
		name     string
		pointers []string
	}{
		"an open object":              {`{"userId":"u"`, "malformed", []string{""}},
		"an open string":              {`{"userId":"u`, "malformed", []string{"/userId"}},
		"text":                        {`hello`, "malformed", []string{""}},
		"two values":                  {`{` + rest + `{}`, "malformed", []string{""}},
		"a comma behind":              {`{"userId":"u","eventType":"t",}`, "malformed", []string{""}},
		"single quotes":               {`{'userId':'u'}`, "malformed", []string{""}},
		"a comment":                   {`{/**/` + rest, "malformed", []string{""}},
		"a byte order mark":           {"\ufeff{" + rest, "malformed", []string{""}},
		"UTF-16":                      {"{\x00\"\x00", "malformed", []string{""}},
		"invalid UTF-8":               {"{\"userId\":\"\xff\",\"eventType\":\"t\"}", "malformed", []string{"/userId"}},
		"a lone surrogate":            {`{"userId":"\ud800","eventType":"t"}`, "malformed", []string{"/userId"}},
		"a lone surrogate in a name":  {`{"userId":"u","eventType":"t","metadata":{"\udc00":1}}`, "malformed", []string{"/metadata"}},
		"a raw control character":     {"{\"userId\":\"a\nb\",\"eventType\":\"t\"}", "malformed", []string{"/userId"}},
		"a key twice":                 {`{"userId":"u","userId":"v","eventType":"t"}`, "malformed", []string{"/userId"}},
		"a key twice, once escaped":   {`{"userId":"u","user\u0049d":"u","eventType":"t"}`, "malformed", []string{"/userId"}},
		"a key twice in the metadata": {`{"userId":"u","eventType":"t","metadata":{"a":{"b":1,"b":1}}}`, "malformed", []string{"/metadata/a/b"}},
		"64 levels in the metadata":   {`{"userId":"u","eventType":"t","metadata":` + nested(64) + `}`, "malformed", nil},
		"100,000 levels":              {`{"metadata":` + strings.Repeat(`[`, 100_000), "malformed", nil},
		"a bad number":                {`{"userId":"u","eventType":"t","metadata":{"a":01}}`, "malformed", []string{"/metadata"}},
		"not a number":                {`{"userId":"u","eventType":"t","metadata":{"a":NaN}}`, "malformed", []string{"/metadata/a"}},
		"an array":                    {`[{` + rest + `]`, "invalid", []string{""}},
		"a string":                    {`"x"`, "invalid", []string{""}},
		"null":                        {`null`, "invalid", []string{""}},
		"nothing in it":               {`{}`, "invalid", []string{"/userId", "/eventType"}},
		"all of the wrong type":       {`{"userId":1,"eventType":[],"eventId":true,"timestamp":{},"metadata":"x"}`, "invalid", []string{"/userId", "/eventType", "/eventId", "/timestamp", "/metadata"}},
		"all null":                    {`{"userId":null,"eventType":null,"eventId":null,"timestamp":null,"metadata":null}`, "invalid", []string{"/userId", "/eventType", "/eventId", "/timestamp", "/metadata"}},
		"metadata of an array":        {`{"metadata":[],` + rest, "invalid", []string{"/metadata"}},
		"an unknown field":            {`{"userid":"u",` + rest, "invalid", []string{"/userid"}},
		"an unknown field to escape":  {`{"a/b~c":"u",` + rest, "invalid", []string{"/a~1b~0c"}},
		"an empty user":               {`{"userId":"","eventType":"t"}`, "invalid", []string{"/userId"}},
		"NUL":                         {`{"userId":"a\u0000b","eventType":"t"}`, "invalid", []string{"/userId"}},
		"a control character":         {`{"userId":"u","eventType":"a\u0085b"}`, "invalid", []string{"/eventType"}},
		"a long user":                 {`{"userId":"` + strings.Repeat("ü", 129) + `","eventType":"t"}`, "invalid", []string{"/userId"}},
		"a long type":                 {`{"userId":"u","eventType":"` + strings.Repeat("t", 129) + `"}`, "invalid", []string{"/eventType"}},
		"an id that is none":          {`{"eventId":"x",` + rest, "invalid", []string{"/eventId"}},
		"an id without dashes":        {`{"eventId":"` + strings.ReplaceAll(someID, "-", "") + `",` + rest, "invalid", []string{"/eventId"}},
		"an id of zeros":              {`{"eventId":"00000000-0000-0000-0000-000000000000",` + rest, "invalid", []string{"/eventId"}},
		"a timestamp without zone":    {`{"timestamp":"2026-01-31T12:00:00",` + rest, "invalid", []string{"/timestamp"}},
		"a day that is none":          {`{"timestamp":"2026-02-30T12:00:00Z",` + rest, "invalid", []string{"/timestamp"}},
		"a second too many":           {`{"timestamp":"2016-12-31T22:59:60Z",` + rest, "invalid", []string{"/timestamp"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			w := s.post("/api/events", test.body)
			assert.Equal(t, http.StatusBadRequest, w.StatusCode)
			p := decode[problemBody](t, w)
			assert.Equal(t, typePrefix+test.name, p.Type)
			if test.pointers != nil {
				assert.Equal(t, test.pointers, p.pointers())
			}
			assert.NotEmpty(t, p.Errors)
			assert.Zero(t, s.log.published())
		})
	}
}

func TestPublishLongInputIsNotRepeated(t *testing.T) {
	s := newService(t)
	var members []string
	for i := range 5000 {
		members = append(members, fmt.Sprintf(`"%s%d":1`, strings.Repeat("é", 40), i))
	}
	w := s.post("/api/events", "{"+strings.Join(members, ",")+"}")
	assert.Equal(t, http.StatusBadRequest, w.StatusCode)
	assert.Less(t, len(w.body), 20_000)
	w = s.post("/api/events", `{"`+strings.Repeat("x", 100_000)+`":1}`)
	assert.Less(t, len(w.body), 2_000)
}

func TestPublishHeaders(t *testing.T) {
	const event = `{"userId":"u","eventType":"t"}`
	tests := map[string]struct {
		headers []string
		status  int
		pointer string
	}{
		"no content type":         {nil, 415, "header:/Content-Type"},
		"text":                    {[]string{"Content-Type: text/plain"}, 415, "header:/Content-Type"},
		"a form":                  {[]string{"Content-Type: application/x-www-form-urlencoded"}, 415, "header:/Content-Type"},
		"lines":                   {[]string{"Content-Type: application/x-ndjson"}, 415, "header:/Content-Type"},
		"another JSON":            {[]string{"Content-Type: application/vnd.x+json"}, 415, "header:/Content-Type"},
		"a broken type":           {[]string{"Content-Type: application/json; charset"}, 415, "header:/Content-Type"},
		"two types":               {[]string{asJSON, asJSON}, 415, "header:/Content-Type"},
		"Latin-1":                 {[]string{asJSON + "; charset=iso-8859-1"}, 415, "header:/Content-Type"},
		"UTF-8":                   {[]string{asJSON + "; charset=UTF-8"}, 202, ""},
		"UTF-8 in quotes":         {[]string{asJSON + `;charset="utf-8"`}, 202, ""},
		"an unknown parameter":    {[]string{asJSON + "; version=1"}, 202, ""},
		"upper case":              {[]string{"Content-Type: Application/JSON"}, 202, ""},
		"gzip":                    {[]string{asJSON, "Content-Encoding: gzip"}, 415, "header:/Content-Encoding"},
		"identity":                {[]string{asJSON, "Content-Encoding: identity"}, 202, ""},
		"a key":                   {[]string{asJSON, "Idempotency-Key: a key"}, 202, ""},
		"the longest key":         {[]string{asJSON, "Idempotency-Key: " + strings.Repeat("k", 255)}, 202, ""},
		"a key of 256 characters": {[]string{asJSON, "Idempotency-Key: " + strings.Repeat("k", 256)}, 400, "header:/Idempotency-Key"},
		"an empty key":            {[]string{asJSON, "Idempotency-Key: "}, 400, "header:/Idempotency-Key"},
		"a key of spaces":         {[]string{asJSON, "Idempotency-Key:  \t "}, 400, "header:/Idempotency-Key"},
		"a key in Latin-1":        {[]string{asJSON, "Idempotency-Key: \xfc"}, 400, "header:/Idempotency-Key"},
		"a key with a tab":        {[]string{asJSON, "Idempotency-Key: a\tb"}, 400, "header:/Idempotency-Key"},
		"two keys":                {[]string{asJSON, "Idempotency-Key: a", "Idempotency-Key: a"}, 400, "header:/Idempotency-Key"},
		"any Accept":              {[]string{asJSON, "Accept: text/html"}, 202, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/api/events", "/api/events/batch"} {
				s := newService(t)
				body := event
				if path != "/api/events" {
					body = "[" + event + "]"
				}
				if name == "lines" && path != "/api/events" {
					continue
				}
				w := s.send(http.MethodPost, path, body, test.headers...)
				assert.Equal(t, test.status, w.StatusCode, w.body)
				if test.pointer != "" {
					assert.Equal(t, []string{test.pointer}, decode[problemBody](t, w).pointers())
					assert.Zero(t, s.log.published())
				}
			}
		})
	}
}

func TestPublishQuery(t *testing.T) {
	s := newService(t)
	for _, path := range []string{"/api/events", "/api/events/batch"} {
		w := s.post(path+"?userId=x&%zz&y=1", `{"userId":"u","eventType":"t"}`)
		assert.Equal(t, http.StatusBadRequest, w.StatusCode)
		assert.Equal(t, []string{"query:/userId", "query:/%zz", "query:/y"}, decode[problemBody](t, w).pointers())
	}
	assert.Equal(t, http.StatusAccepted, s.post("/api/events?", `{"userId":"u","eventType":"t"}`).StatusCode)
}

func TestPublishSize(t *testing.T) {
	event := func(size int) string {
		const frame = `{"userId":"u","eventType":"t","metadata":{"a":""}}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)
	}
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprint("chunked ", chunked), func(t *testing.T) {
			s := newService(t, func(o *Options) { o.MaxBody = 100_000 })
			status := func(body string) int {
				r := httptest.NewRequest(http.MethodPost, "/api/events", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				if chunked {
					r.ContentLength = -1
				}
				return s.sendRequest(&checked{s, s}, r).StatusCode
			}
			assert.Equal(t, 202, status(event(100_000)))
			assert.Equal(t, 413, status(event(100_001)))
			assert.Equal(t, 413, status(strings.Repeat("x", 1_000_000)))
			assert.Equal(t, 400, status(""))
		})
	}
}

func TestPublishIdempotencyKey(t *testing.T) {
	const a, b = `{"userId":"a","eventType":"t"}`, `{"userId":"b","eventType":"t"}`
	s := newService(t)
	id := func(body, key string) string {
		w := s.post("/api/events", body, "Idempotency-Key: "+key)
		return decode[struct{ EventID string }](t, w).EventID
	}
	first := id(a, "k")
	assert.Equal(t, first, id(a, " k "))
	assert.NotEqual(t, first, id(a, "l"))
	assert.NotEqual(t, first, id(b, "k"))
	assert.Equal(t, first, func() string {
		s := newService(t)
		return decode[struct{ EventID string }](t, s.post("/api/events", a, "Idempotency-Key: k")).EventID
	}(), "on another instance")
	assert.Equal(t, someID, id(`{"eventId":"`+someID+`","userId":"a","eventType":"t"}`, "k"), "the event's own id wins")
	assert.Len(t, s.store.stored(), 4)
}

func TestPublishFailures(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3:9092: password=hunter2")
	tests := map[string]struct {
		err    error
		status int
		logged bool
	}{
		"unavailable":      {fmt.Errorf("%w: %w", domain.ErrUnavailable, secret), 503, true},
		"a time-out":       {fmt.Errorf("%w: %w", context.DeadlineExceeded, secret), 503, true},
		"cancelled inside": {fmt.Errorf("%w: %w", context.Canceled, secret), 503, true},
		"each":             {application.PublishError{fmt.Errorf("%w: %w", domain.ErrUnavailable, secret)}, 503, true},
		"unknown":          {secret, 500, true},
		"too large":        {fmt.Errorf("%w: %w", domain.ErrTooLarge, secret), 413, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.log.publish = func(context.Context, []domain.Event) error { return test.err }
			w := s.post("/api/events", `{"userId":"u","eventType":"t"}`)
			assert.Equal(t, test.status, w.StatusCode)
			assert.NotContains(t, w.body, "hunter2")
			assert.NotContains(t, w.body, "10.1.2.3")
			assert.Equal(t, test.logged, strings.Contains(s.logs.String(), "hunter2"))
			assert.Empty(t, w.Header.Get("Location"))
			assert.Equal(t, test.status >= 500, decode[problemBody](t, w).EventID != "")
		})
	}
}

// TestPublishAgainWithTheIDOfAFailure stores an event once, whose client left its id to the service and got no acknowledgement.
func TestPublishAgainWithTheIDOfAFailure(t *testing.T) {
	s := newService(t)
	for path, body := range map[string]string{"/api/events": `{"userId":"u","eventType":"t"%s}`, batchPath: `[{"userId":"u","eventType":"t"%s}]`} {
		before := len(s.store.stored())
		s.log.publish = func(_ context.Context, events []domain.Event) error {
			s.store.add(events[0])
			return domain.ErrUnavailable
		}
		w := s.post(path, fmt.Sprintf(body, ""))
		require.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
		id := decode[problemBody](t, w).EventID
		if path == batchPath {
			id = decode[batchBody](t, w).Results[0].Error.EventID
		}
		require.NotEmpty(t, id)
		s.log.publish = nil
		require.Equal(t, http.StatusAccepted, s.post(path, fmt.Sprintf(body, `,"eventId":"`+id+`"`)).StatusCode)
		assert.Len(t, s.store.stored(), before+1, path)
	}
}

func TestPublishGoesOnWithoutTheClient(t *testing.T) {
	s := newService(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.log.publish = func(ctx context.Context, _ []domain.Event) error {
		cancel()
		return ctx.Err()
	}
	r := httptest.NewRequest(http.MethodPost, "/api/events", strings.NewReader(`{"userId":"u","eventType":"t"}`))
	r.Header.Set("Content-Type", "application/json")
	w := s.sendRequest(&checked{s, s}, r.WithContext(ctx))
	assert.Equal(t, http.StatusAccepted, w.StatusCode)
}

func TestFailuresAreLoggedByKind(t *testing.T) {
	for level, err := range map[string]error{"WARN": domain.ErrUnavailable, "ERROR": errors.New("x"), "": domain.ErrTooLarge} {
		s := newService(t)
		s.log.publish = func(context.Context, []domain.Event) error { return err }
		for _, path := range []string{"/api/events", batchPath} {
			s.post(path, map[string]string{"/api/events": smallEvent, batchPath: "[" + smallEvent + "]"}[path])
		}
		if level == "" {
			assert.Empty(t, s.logs.String())
			continue
		}
		assert.Equal(t, 2, strings.Count(s.logs.String(), `"level":"`+level+`"`))
	}
}

func TestPanicIsAnswered(t *testing.T) {
	s := newService(t)
	s.log.publish = func(context.Context, []domain.Event) error { panic("boom") }
	w := s.post("/api/events", `{"userId":"u","eventType":"t"}`)
	assert.Equal(t, http.StatusInternalServerError, w.StatusCode)
	assert.NotContains(t, w.body, "boom")
	assert.Contains(t, s.logs.String(), "boom")
	assert.Contains(t, s.logs.String(), "publish_test.go")
	s.log.publish = func(context.Context, []domain.Event) error { panic(http.ErrAbortHandler) }
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { s.post("/api/events", `{"userId":"u","eventType":"t"}`) })
}

// TestDurabilityHeader tells when the broker has not got everything yet.
func TestDurabilityHeader(t *testing.T) {
	for spooled, want := range map[int]string{0: "", 1: "spooled"} {
		s := newService(t)
		s.log.spooled = spooled
		for path, body := range map[string]string{
			"/api/events":       `{"userId":"u","eventType":"t"}`,
			"/api/events/batch": `[{"userId":"u","eventType":"t"},{"userId":"u"}]`,
		} {
			res := s.post(path, body)
			if got := res.Header.Get("Netstreamflow-Durability"); got != want || res.StatusCode >= 300 {
				t.Errorf("%s with %d spooled: %d, %q", path, spooled, res.StatusCode, got)
			}
		}
	}
}
