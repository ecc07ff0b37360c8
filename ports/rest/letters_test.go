package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/adapters/broker/gochannel"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/adapters/store/memory"
	"github.com/netstreamflow/netstreamflow/application"
)

const lettersPath = "/api/admin/dead-letters"

// office is the API on a real broker in memory, whose main topic somebody reads.
type office struct {
	*service

	broker   broker.Broker
	letters  *broker.Letters
	keep     *broker.DeadLetters
	received chan *message.Message
	given    int
}

func newOffice(t *testing.T, change ...func(*Options)) *office {
	t.Helper()
	options := broker.Options{
		Topic: "topic", DeadLetterTopic: "topic.dlq", PublishTimeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
	b, err := gochannel.Open(t.Context(), &url.URL{Scheme: "memory"}, options)
	require.NoError(t, err)
	kept, err := memory.Open(t.Context(), "", store.Options{})
	require.NoError(t, err)
	records := broker.NewRecords(b.(broker.Replayable))
	o := &office{
		broker: b, keep: broker.NewDeadLetters(b.Publisher(), options.DeadLetterTopic, options.Logger),
		received: make(chan *message.Message, 1000),
	}
	o.service = newService(t, func(ro *Options) {
		options.Logger = ro.Logger
		o.letters = broker.NewLetters(b.(broker.Replayable), records, options)
		ro.Letters = application.NewLetters(o.letters)
		ro.Inspect = application.NewInspect(broker.NewInspector(b, records), kept, application.Inspected{
			Topic: options.Topic, DeadLetterTopic: options.DeadLetterTopic,
		})
		for _, c := range change {
			c(ro)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.letters.Run(ctx) })
	sub, err := b.Subscriber("")
	require.NoError(t, err)
	messages, err := sub.Subscribe(ctx, options.Topic)
	require.NoError(t, err)
	running.Go(func() {
		for msg := range messages {
			o.received <- msg
			msg.Ack()
		}
	})
	t.Cleanup(func() {
		cancel()
		records.Close()
		require.NoError(t, sub.Close())
		running.Wait()
		require.NoError(t, b.Close())
		require.NoError(t, kept.Close())
	})
	return o
}

// give keeps a dead letter and returns its id when it is listed.
func (o *office) give(key []byte, value, reason string) string {
	o.t.Helper()
	return o.giveWith(key, value, reason, map[string]string{"content-type": "text/x"})
}

func (o *office) giveWith(key []byte, value, reason string, headers map[string]string) string {
	o.t.Helper()
	o.given++
	err := o.keep.Keep(o.t.Context(), application.DeadLetter{
		Origin: application.Origin{Position: application.Position{Offset: int64(o.given)}, Topic: "topic", Key: key},
		Value:  []byte(value), Headers: headers, Reason: errors.New(reason), Attempts: 1, Consumer: "group",
	})
	require.NoError(o.t, err)
	bounds, err := o.broker.(broker.Bounder).Bounds(o.t.Context(), "topic.dlq")
	require.NoError(o.t, err)
	id := application.LetterID(application.Position{Offset: bounds[0].Next - 1})
	require.Eventually(o.t, func() bool {
		return strings.Contains(o.get(lettersPath+"?limit=1000").body, `"`+id+`"`)
	}, 10*time.Second, time.Millisecond)
	return id
}

type letterList struct {
	Letters []struct {
		ID, Reason, Consumer, KeyBase64 string
		Key                             *string
		Attempts, Requeues, Size        int
		Origin, First                   *struct{ Topic string }
	}
	Count, Open int
	NextCursor  string
}

func TestListDeadLetters(t *testing.T) {
	o := newOffice(t)
	empty := o.get(lettersPath)
	assert.JSONEq(t, `{"letters":[],"count":0,"open":0}`, empty.body)
	var ids []string
	for n := range 5 {
		ids = append(ids, o.give([]byte("user"), "x", fmt.Sprintf("reason %d <b>", n%2)))
	}
	ids = append(ids, o.give([]byte{0xff}, "x", "another"), o.give(nil, "x", "third"))
	all := decode[letterList](t, o.get(lettersPath))
	assert.Equal(t, 7, all.Open)
	assert.Equal(t, 7, all.Count)
	for i, l := range all.Letters {
		assert.Equal(t, ids[i], l.ID)
	}
	assert.Equal(t, "user", *all.Letters[0].Key)
	assert.Equal(t, "/w==", all.Letters[5].KeyBase64)
	assert.Nil(t, all.Letters[6].Key)
	page := decode[letterList](t, o.get(lettersPath+"?limit=3&reason=reason"))
	assert.Len(t, page.Letters, 3)
	page = decode[letterList](t, o.get(lettersPath+"?limit=3&reason=reason&cursor="+page.NextCursor))
	assert.Len(t, page.Letters, 2)
	assert.Empty(t, page.NextCursor)
	assert.Equal(t, 3, decode[letterList](t, o.get(lettersPath+"?reason=reason+0+%3Cb%3E")).Count)
	now := time.Now().UTC().Add(time.Minute).Format(time.RFC3339)
	assert.Zero(t, decode[letterList](t, o.get(lettersPath+"?from="+now)).Count)
	assert.Equal(t, 7, decode[letterList](t, o.get(lettersPath+"?to="+now)).Count)
	assert.Equal(t, http.StatusOK, o.send(http.MethodHead, lettersPath, "").StatusCode)
}

func TestListDeadLettersRefuses(t *testing.T) {
	o := newOffice(t)
	for query, pointer := range map[string]string{
		"limit=0": "query:/limit", "limit=1001": "query:/limit", "limit=01": "query:/limit", "limit=x": "query:/limit", "from=now": "query:/from",
		"to=x": "query:/to", "cursor=": "query:/cursor", "cursor=x": "query:/cursor", "cursor=0-01": "query:/cursor", "x=1": "query:/x",
		"reason=a&reason=b": "query:/reason",
	} {
		w := o.get(lettersPath + "?" + query)
		assert.Equal(t, http.StatusBadRequest, w.StatusCode, query)
		assert.Equal(t, []string{pointer}, decode[problemBody](t, w).pointers(), query)
	}
}

func TestShowDeadLetter(t *testing.T) {
	o := newOffice(t)
	for value, want := range map[string]string{
		`{"a":1.50}`: `"payload":{"a":1.50}`, `null`: `"payload":null`, "": `"payloadBase64":""`, "no JSON": `"payloadBase64":"bm8gSlNPTg=="`,
		"\"\xff\"": `"payloadBase64":"Iv8i"`,
	} {
		id := o.give([]byte("user"), value, "because "+strings.Repeat("long ", 200))
		w := o.get(lettersPath + "/" + id)
		require.Equal(t, http.StatusOK, w.StatusCode, w.body)
		assert.Contains(t, w.body, want)
		shown := decode[struct {
			ID, State, Reason, Key string
			Headers                map[string]string
		}](t, w)
		assert.Equal(t, id, shown.ID)
		assert.Equal(t, "open", shown.State)
		assert.Len(t, shown.Reason, 1008)
		assert.Equal(t, "text/x", shown.Headers["content-type"])
		assert.Equal(t, "group", shown.Headers[broker.DeadLetterConsumer])
	}
	for _, id := range []string{"0-1", "x", "%2F", "0-", "99-0"} {
		w := o.get(lettersPath + "/" + id)
		assert.Equal(t, http.StatusNotFound, w.StatusCode, id)
		assert.Equal(t, "there is no dead letter with this id", decode[problemBody](t, w).Detail)
	}
	assert.Equal(t, http.StatusBadRequest, o.get(lettersPath+"/0-1?x=1").StatusCode)
}

// TestShowHeaders shows all headers, whatever they are: several of one name, and those that are no text.
func TestShowHeaders(t *testing.T) {
	o := newOffice(t)
	headers := message.Metadata{"h": "3", "b": "\xff\x00", "\xfe": "text", "\xff": "\xff", "empty": ""}
	broker.SetRepeated(headers, []application.Header{{Name: "h", Value: "1"}, {Name: "h", Value: "\xff"}, {Name: "\xff", Value: ""}})
	id := o.giveWith([]byte("user"), "x", "bad", headers)
	plain := o.give([]byte("user"), "x", "bad")
	type content struct {
		Headers                        map[string]string
		BinaryHeaders, RepeatedHeaders json.RawMessage
	}
	check := func(c content) {
		t.Helper()
		assert.Equal(t, "3", c.Headers["h"])
		assert.Contains(t, c.Headers, "empty")
		assert.Len(t, c.Headers, 2+9, "beside the letter's own")
		assert.JSONEq(t, `[{"name":"b","valueBase64":"/wA="},{"nameBase64":"/g==","value":"text"},{"nameBase64":"/w==","valueBase64":"/w=="}]`,
			string(c.BinaryHeaders))
		assert.JSONEq(t, `[{"name":"h","value":"1"},{"name":"h","valueBase64":"/w=="},{"nameBase64":"/w==","value":""}]`,
			string(c.RepeatedHeaders))
	}
	check(decode[content](t, o.get(lettersPath+"/"+id)))
	check(decode[struct{ Messages []content }](t, o.get("/api/admin/messages?topic=dead-letters")).Messages[0])
	assert.NotRegexp(t, "binaryHeaders|repeatedHeaders", o.get(lettersPath+"/"+plain).body)
}

func TestRequeueDeadLetter(t *testing.T) {
	o := newOffice(t)
	id := o.give([]byte("user"), "poison", "bad")
	for n := range 3 {
		w := o.send(http.MethodPost, lettersPath+"/"+id+"/requeue", "")
		require.Equal(t, http.StatusOK, w.StatusCode, w.body)
		want := `{"requeued":0,"already":1}`
		if n == 0 {
			want = `{"requeued":1,"already":0}`
			msg := <-o.received
			assert.Equal(t, "poison", string(msg.Payload))
			assert.Equal(t, "topic/0/1", msg.Metadata[application.HeaderOrigin])
		}
		assert.JSONEq(t, want, w.body)
	}
	assert.Empty(t, o.received)
	assert.Equal(t, 1, strings.Count(o.logs.String(), "dead letter requeued"))
	assert.Contains(t, o.get(lettersPath+"/"+id).body, `"state":"settled"`)
	assert.Equal(t, http.StatusNotFound, o.send(http.MethodPost, lettersPath+"/1-1/requeue", "").StatusCode)
	assert.Equal(t, http.StatusBadRequest, o.send(http.MethodPost, lettersPath+"/"+id+"/requeue?x=y", "").StatusCode)
}

// TestRequeueFromAnotherSite: the request has no body, so a browser asks nobody before it sends it.
func TestRequeueFromAnotherSite(t *testing.T) {
	o := newOffice(t, func(o *Options) { o.Origins = []string{"https://app.example"} })
	path := lettersPath + "/" + o.give([]byte("user"), "poison", "bad") + "/requeue"
	for _, header := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
		w := o.send(http.MethodPost, path, "", header)
		assert.Equal(t, http.StatusForbidden, w.StatusCode, header)
		assert.Equal(t, "a page of another site may not do this", decode[problemBody](t, w).Detail)
	}
	assert.Empty(t, o.received)
	for _, headers := range [][]string{{"Sec-Fetch-Site: same-origin"}, {"Origin: https://app.example", "Sec-Fetch-Site: cross-site"}, nil} {
		assert.Equal(t, http.StatusOK, o.send(http.MethodPost, path, "", headers...).StatusCode, headers)
	}
}

func TestDropDeadLetter(t *testing.T) {
	o := newOffice(t)
	id := o.give([]byte("user"), "poison", "bad")
	for range 3 {
		w := o.send(http.MethodDelete, lettersPath+"/"+id, "")
		require.Equal(t, http.StatusNoContent, w.StatusCode, w.body)
		assert.Empty(t, w.body)
	}
	assert.JSONEq(t, `{"letters":[],"count":0,"open":0}`, o.get(lettersPath).body)
	assert.JSONEq(t, `{"requeued":0,"already":1}`, o.send(http.MethodPost, lettersPath+"/"+id+"/requeue", "").body)
	assert.Equal(t, 1, strings.Count(o.logs.String(), "dead letter dropped"))
	assert.Equal(t, http.StatusNotFound, o.send(http.MethodDelete, lettersPath+"/1-1", "").StatusCode)
	assert.Equal(t, http.StatusBadRequest, o.send(http.MethodDelete, lettersPath+"/"+id+"?x=y", "").StatusCode)
}

func TestRequeueOfNothingInParticular(t *testing.T) {
	o := newOffice(t)
	for _, body := range []string{`null`, `{"reason":null}`, `[]`, `{"odd":1}`, `{} {}`, `{"limit":0}`, `{"from":""}`, `{"limit":1.5}`, `{"limit":1e30}`} {
		assert.Equal(t, http.StatusBadRequest, o.post(lettersPath+"/requeue", body).StatusCode, body)
	}
}

type requeueReport struct {
	Requeued, Failed, Left int
	NextCursor, To         string
}

func TestRequeueDeadLetters(t *testing.T) {
	o := newOffice(t)
	for n := range 10 {
		o.give([]byte("user"), fmt.Sprint(n), []string{"even", "odd"}[n%2])
	}
	report := decode[requeueReport](t, o.post(lettersPath+"/requeue", `{"reason":"odd","limit":3}`))
	assert.Equal(t, 3, report.Requeued)
	assert.Equal(t, 2, report.Left)
	report = decode[requeueReport](t, o.post(lettersPath+"/requeue", `{"reason":"odd","to":"`+report.To+`","cursor":"`+report.NextCursor+`"}`))
	assert.Equal(t, 2, report.Requeued)
	assert.Zero(t, report.Left)
	assert.Empty(t, report.NextCursor)
	for n := 1; n < 10; n += 2 {
		assert.Equal(t, fmt.Sprint(n), string((<-o.received).Payload))
	}
	report = decode[requeueReport](t, o.post(lettersPath+"/requeue", `{"to":"2020-01-01T00:00:00Z"}`))
	assert.Equal(t, requeueReport{To: "2020-01-01T00:00:00Z"}, report)
	assert.Equal(t, 5, decode[letterList](t, o.get(lettersPath)).Open)
	report = decode[requeueReport](t, o.post(lettersPath+"/requeue", `{}`))
	assert.Equal(t, 5, report.Requeued)
}

func TestRequeueDeadLettersRefuses(t *testing.T) {
	o := newOffice(t)
	for body, want := range map[string]struct {
		status  int
		pointer string
	}{
		"{": {400, ""}, "[]": {400, ""}, "{} {}": {400, ""}, `{"x":1}`: {400, ""}, `{"limit":"1"}`: {400, "/limit"}, `{"limit":1001}`: {400, "/limit"},
		`{"limit":-1}`: {400, "/limit"}, `{"from":"x"}`: {400, "/from"}, `{"to":"x"}`: {400, "/to"}, `{"cursor":"x"}`: {400, "/cursor"}, `{"reason":1}`: {400, "/reason"},
		strings.Repeat(" ", maxFilterBody+1): {413, ""},
	} {
		w := o.post(lettersPath+"/requeue", body)
		require.Equal(t, want.status, w.StatusCode, body)
		if want.status == http.StatusBadRequest {
			assert.Equal(t, []string{want.pointer}, decode[problemBody](t, w).pointers(), body)
		}
	}
	assert.Equal(t, http.StatusBadRequest, o.post(lettersPath+"/requeue?x=1", "{}").StatusCode)
	assert.Equal(t, http.StatusUnsupportedMediaType, o.send(http.MethodPost, lettersPath+"/requeue", "{}").StatusCode)
}

func TestMessages(t *testing.T) {
	o := newOffice(t)
	for n := range 5 {
		o.give([]byte("user"), fmt.Sprintf(`{"n":%d}`, n), "bad")
	}
	type page struct {
		Topic                   string
		First, Next, NextOffset int64
		Messages                []struct {
			Offset  int64
			Key     string
			Payload json.RawMessage
			Headers map[string]string
		}
	}
	all := decode[page](t, o.get("/api/admin/messages?topic=dead-letters"))
	assert.Equal(t, "topic.dlq", all.Topic)
	require.Len(t, all.Messages, 5)
	assert.Equal(t, all.Next, all.NextOffset)
	assert.Equal(t, all.First+5, all.Next)
	some := decode[page](t, o.get(fmt.Sprintf("/api/admin/messages?topic=dead-letters&partition=0&limit=2&offset=%d", all.First+1)))
	require.Len(t, some.Messages, 2)
	assert.Equal(t, all.Messages[1:3], some.Messages)
	assert.JSONEq(t, `{"n":1}`, string(some.Messages[0].Payload))
	assert.Equal(t, all.First+3, some.NextOffset)
	last := decode[page](t, o.get("/api/admin/messages?topic=dead-letters&offset=-1"))
	assert.Equal(t, all.Messages[4:], last.Messages)
	main := decode[page](t, o.get("/api/admin/messages?topic=main"))
	assert.Equal(t, "topic", main.Topic)
	assert.Empty(t, main.Messages)
	assert.Equal(t, http.StatusNotFound, o.get("/api/admin/messages?partition=7").StatusCode)
	for query, pointer := range map[string]string{
		"topic=x": "query:/topic", "partition=-1": "query:/partition", "offset=x": "query:/offset", "limit=0": "query:/limit", "limit=1001": "query:/limit",
		"x=": "query:/x",
	} {
		w := o.get("/api/admin/messages?" + query)
		assert.Equal(t, http.StatusBadRequest, w.StatusCode, query)
		assert.Equal(t, []string{pointer}, decode[problemBody](t, w).pointers(), query)
	}
}

func TestBroker(t *testing.T) {
	o := newOffice(t)
	o.give(nil, "x", "bad")
	w := o.get("/api/admin/broker")
	require.Equal(t, http.StatusOK, w.StatusCode, w.body)
	got := decode[struct {
		Topics []struct {
			Name       string
			Partitions []struct{ First, Next int64 }
		}
	}](t, w)
	require.Len(t, got.Topics, 2)
	letters := got.Topics[1]
	assert.Equal(t, "topic.dlq", letters.Name)
	assert.Equal(t, letters.Partitions[0].First+1, letters.Partitions[0].Next)
	assert.Equal(t, http.StatusBadRequest, o.get("/api/admin/broker?x=1").StatusCode)
}

// adminRequests are one request of each kind.
var adminRequests = [][3]string{
	{http.MethodGet, lettersPath, ""}, {http.MethodGet, lettersPath + "/0-1", ""}, {http.MethodDelete, lettersPath + "/0-1", ""},
	{http.MethodPost, lettersPath + "/0-1/requeue", ""}, {http.MethodPost, lettersPath + "/requeue", "{}"},
	{http.MethodGet, "/api/admin/broker", ""}, {http.MethodGet, "/api/admin/messages?topic=dead-letters", ""},
}

// TestAdminWithoutBroker has the broker away.
func TestAdminWithoutBroker(t *testing.T) {
	o := newOffice(t)
	id := o.give(nil, "x", "bad")
	require.NoError(t, o.broker.Close())
	for _, r := range adminRequests {
		if r[1] == lettersPath || strings.HasSuffix(r[1], "dead-letters") {
			continue // what is in memory is shown
		}
		w := o.send(r[0], strings.Replace(r[1], "0-1", id, 1), r[2], asJSON)
		require.Equal(t, http.StatusServiceUnavailable, w.StatusCode, "%s %s %s", r[0], r[1], w.body)
		assert.Contains(t, decode[problemBody](t, w).Detail, "the broker does not answer now")
	}
}

// TestAdminNotImplemented has a broker whose log cannot be read again.
func TestAdminNotImplemented(t *testing.T) {
	s := newService(t)
	for _, r := range adminRequests {
		assert.Equal(t, http.StatusNotImplemented, s.send(r[0], r[1], r[2], asJSON).StatusCode, r)
	}
}
