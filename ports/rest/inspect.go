package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// keyBody is a record's key: text where it is, else base64; neither where there is none.
type keyBody struct {
	Key       *string `json:"key,omitempty"`
	KeyBase64 []byte  `json:"keyBase64,omitempty"`
}

func keyOf(key []byte) keyBody {
	if key == nil {
		return keyBody{}
	}
	text, raw := textOrBytes(string(key))
	return keyBody{text, raw}
}

// textOrBytes returns s as the one that it is.
func textOrBytes(s string) (*string, []byte) {
	if utf8.ValidString(s) {
		return &s, nil
	}
	return nil, []byte(s)
}

// contentBody is what a record holds: the payload is JSON where it is, else base64. Headers has what fits in an object of texts:
// the last header of each name, but for those in BinaryHeaders, whose name or value is no text.
type contentBody struct {
	MessageID       string            `json:"messageId,omitempty"`
	Headers         map[string]string `json:"headers"`
	BinaryHeaders   []headerBody      `json:"binaryHeaders,omitempty"`
	RepeatedHeaders []headerBody      `json:"repeatedHeaders,omitempty"`
	Payload         json.RawMessage   `json:"payload,omitempty"`
	PayloadBase64   *[]byte           `json:"payloadBase64,omitempty"`
}

// headerBody is one header, its name and its value each as text or else in base64.
type headerBody struct {
	Name        *string `json:"name,omitempty"`
	NameBase64  []byte  `json:"nameBase64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"valueBase64,omitempty"`
}

func headerOf(name, value string) (h headerBody) {
	h.Name, h.NameBase64 = textOrBytes(name)
	h.Value, h.ValueBase64 = textOrBytes(value)
	return h
}

func contentOf(record application.LogRecord) contentBody {
	c := contentBody{MessageID: record.MessageID, Headers: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(record.Headers)) {
		if value := record.Headers[name]; utf8.ValidString(name) && utf8.ValidString(value) {
			c.Headers[name] = value
		} else {
			c.BinaryHeaders = append(c.BinaryHeaders, headerOf(name, value))
		}
	}
	for _, h := range record.Repeated {
		c.RepeatedHeaders = append(c.RepeatedHeaders, headerOf(h.Name, h.Value))
	}
	if value := record.Value; utf8.Valid(value) && json.Valid(value) {
		c.Payload = value
	} else {
		value = append([]byte{}, value...) // an empty one is shown, too
		c.PayloadBase64 = &value
	}
	return c
}

// recordBody is a record of the log.
type recordBody struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`
	Size      int       `json:"size"`

	keyBody
	contentBody
}

// recordsBody is a piece of a partition.
type recordsBody struct {
	Topic      string       `json:"topic"`
	Partition  int32        `json:"partition"`
	First      int64        `json:"first"`
	Next       int64        `json:"next"`
	Messages   []recordBody `json:"messages"`
	NextOffset int64        `json:"nextOffset"`
}

// messages is GET /api/admin/messages.
func (a *api) messages(w *answer, r *http.Request) error {
	var q application.RecordQuery
	var deadLetters bool
	err := eachParam(r.URL.RawQuery, func(name, value string) string { return setRecordParam(&q, &deadLetters, name, value) })
	if err != nil {
		return err
	}
	if a.Inspect == nil {
		return newProblem(notImplemented, "")
	}
	page, err := a.Inspect.Messages(r.Context(), deadLetters, q)
	if errors.Is(err, domain.ErrNotFound) {
		return newProblem(notFound, fmt.Sprintf("the topic has no partition %d", q.Partition))
	}
	if err != nil {
		return adminError(err)
	}
	body := recordsBody{
		Topic: page.Topic, Partition: page.Partition, First: page.First, Next: page.Bounds.Next, NextOffset: page.Next,
		Messages: make([]recordBody, len(page.Records)),
	}
	for i, record := range page.Records {
		body.Messages[i] = recordBody{
			Partition: record.Partition, Offset: record.Offset, Time: record.Time.UTC(), Size: len(record.Value),
			keyBody: keyOf(record.Key), contentBody: contentOf(record),
		}
	}
	return sendJSON(w, body)
}

// setRecordParam reads a parameter into the query; what it returns says what is wrong with it.
func setRecordParam(q *application.RecordQuery, deadLetters *bool, name, value string) (detail string) {
	switch name {
	case "topic":
		*deadLetters = value == "dead-letters"
		if !*deadLetters && value != "main" {
			return "must be main or dead-letters"
		}
	case "partition":
		return setNumber(&q.Partition, value, 0, 1<<31-1)
	case "offset":
		return setNumber(&q.Offset, value, -1<<62, 1<<62)
	case "limit":
		return setNumber(&q.Limit, value, 1, application.MaxRecords)
	default:
		return "is unknown: topic, partition, offset and limit are allowed"
	}
	return ""
}

func setNumber[T int | int32 | int64](to *T, value string, least, most int64) (detail string) {
	n, err := strconv.ParseInt(value, 10, 64)
	// ParseInt takes a plus and leading zeros, too.
	if err != nil || strconv.FormatInt(n, 10) != value || n < least || n > most {
		return fmt.Sprintf("must be a whole number from %d to %d", least, most)
	}
	*to = T(n)
	return ""
}

// topologyBody is what is known of the broker.
type topologyBody struct {
	Topics []topicBody      `json:"topics"`
	Groups []groupBody      `json:"groups"`
	Store  map[string]int64 `json:"storeTaken,omitempty"`
}

type topicBody struct {
	Name       string          `json:"name"`
	Partitions []partitionBody `json:"partitions"`
}

type partitionBody struct {
	Partition int32   `json:"partition"`
	First     int64   `json:"first"`
	Next      int64   `json:"next"`
	Leader    *int32  `json:"leader,omitempty"`
	Replicas  []int32 `json:"replicas,omitempty"`
	InSync    []int32 `json:"inSync,omitempty"`
}

type groupBody struct {
	Name       string       `json:"name"`
	State      string       `json:"state,omitempty"`
	Members    []memberBody `json:"members"`
	Partitions []lagBody    `json:"partitions"`
	Lag        int64        `json:"lag"`
}

type memberBody struct {
	ID         string  `json:"id"`
	Client     string  `json:"client"`
	Host       string  `json:"host"`
	Partitions []int32 `json:"partitions"`
}

type lagBody struct {
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"`
	Lag       int64  `json:"lag"`
}

// topology is GET /api/admin/broker.
func (a *api) topology(w *answer, r *http.Request) error {
	if err := noQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if a.Inspect == nil {
		return newProblem(notImplemented, "")
	}
	t, err := a.Inspect.Topology(r.Context())
	if err != nil {
		return adminError(err)
	}
	body := topologyBody{Topics: []topicBody{}, Groups: []groupBody{}}
	for _, topic := range t.Topics {
		body.Topics = append(body.Topics, topicOf(topic))
	}
	for _, group := range t.Groups {
		body.Groups = append(body.Groups, groupOf(group))
	}
	if t.Taken != nil {
		body.Store = map[string]int64{}
		for partition, next := range t.Taken {
			body.Store[strconv.Itoa(int(partition))] = next
		}
	}
	return sendJSON(w, body)
}

func topicOf(t application.TopicInfo) topicBody {
	body := topicBody{Name: t.Name, Partitions: []partitionBody{}}
	for _, p := range t.Partitions {
		partition := partitionBody{Partition: p.Partition, First: p.First, Next: p.Next, Replicas: p.Replicas, InSync: p.InSync}
		if len(p.Replicas) > 0 {
			partition.Leader = &p.Leader
		}
		body.Partitions = append(body.Partitions, partition)
	}
	return body
}

func groupOf(g application.GroupLag) groupBody {
	body := groupBody{Name: g.Name, State: g.State, Lag: g.Lag, Members: []memberBody{}, Partitions: []lagBody{}}
	for _, m := range g.Members {
		body.Members = append(body.Members, memberBody{m.ID, m.Client, m.Host, append([]int32{}, m.Assigned...)})
	}
	for _, p := range g.Places {
		lag := lagBody{Partition: p.Partition, Lag: p.Lag}
		if p.Committed >= 0 {
			lag.Committed = &p.Committed
		}
		body.Partitions = append(body.Partitions, lag)
	}
	return body
}

// decodeStrict reads one JSON object with known members.
func decodeStrict(text []byte, to any) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) == nil {
		if members == nil {
			return faulty(invalid, fault{"", "", "must not be null"})
		}
		for name, value := range members {
			if string(value) == "null" {
				return faulty(invalid, fault{"", "/" + pointerEscaper.Replace(name), "must not be null: leave it out"})
			}
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return faulty(malformed, fault{"", "", "the body holds more than one JSON value"})
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		pointer := ""
		if wrong.Field != "" {
			pointer = "/" + pointerEscaper.Replace(wrong.Field)
		}
		return faulty(invalid, fault{"", pointer, "must not be a JSON " + wrong.Value})
	}
	return faulty(malformed, fault{"", "", "the body must be a JSON object with the members reason, from, to, limit and cursor, or some of them"})
}
