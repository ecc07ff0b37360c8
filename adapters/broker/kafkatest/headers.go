package kafkatest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// uuidHeader is the header that holds a message's id.
const uuidHeader = "_watermill_message_uuid"

// theirs are the headers of another producer's record, as they come out in the end: in the order of their names.
var theirs = []string{
	uuidHeader + "=id", "a=1", "a=\x00\xff", "a=", "a=4", "b=1", "b=2", "c=1", "dead-letter-reason=1", "dead-letter-reason=2",
	"null=", "ключ=1", "ключ=2",
}

// HeadersSurvive has another producer's record with all kinds of headers, several of some names, become a dead letter, which is
// shown and requeued: what is in the topics has them as the record had.
func HeadersSurvive(t *testing.T, servers string, o broker.Options, open Open) {
	t.Helper()
	o.Partitions, o.DeadLetterTopic = 1, o.Topic+".dlq"
	b := open(t, servers, "", o)
	produceForeign(t, b, servers, o.Topic)
	msg := receiveForeign(t, b, o.Topic)
	repeated := []string{"a=1", "a=\x00\xff", "b=1", "dead-letter-reason=1", "a=", "ключ=1"}
	if got := texts(broker.Repeated(msg.Metadata)); !slices.Equal(got, repeated) {
		t.Errorf("received is %q, want %q", got, repeated)
	}
	checkLast(t, "received", msg.UUID, msg.Metadata)
	letters := keep(t, b, o, msg)
	raw := rawHeaders(t, servers, o.DeadLetterTopic, 0)
	if got := without(raw, "dead-letter-"); !slices.Equal(got, without(theirs, "dead-letter-")) {
		t.Errorf("the dead letter has %q, want %q", got, theirs)
	}
	reasons := slices.DeleteFunc(slices.Clone(raw), func(h string) bool { return !strings.HasPrefix(h, broker.DeadLetterReason) })
	if want := []string{"dead-letter-reason=1", "dead-letter-reason=2", "dead-letter-reason=ours"}; !slices.Equal(reasons, want) {
		t.Errorf("the reasons are %q, want %q", reasons, want)
	}
	checkLetter(t, letters)
	if done, err := letters.Requeue(t.Context(), "0-0", "me"); !done || err != nil {
		t.Fatalf("requeue: %t, %v", done, err)
	}
	raw = rawHeaders(t, servers, o.Topic, 2)
	if got := without(raw, "netstreamflow-"); !slices.Equal(got, theirs) {
		t.Errorf("requeued is %q, want %q", got, theirs)
	}
	for _, h := range raw {
		if name, _, _ := strings.Cut(h, "="); broker.IsReserved(name) {
			t.Errorf("requeued has %q", h)
		}
	}
}

func checkLast(t *testing.T, what, id string, headers map[string]string) {
	t.Helper()
	if id != "id" || headers["a"] != "4" || headers["b"] != "2" || headers["c"] != "1" || headers["ключ"] != "2" {
		t.Errorf("%s is %q with %q", what, id, headers)
	}
}

// checkLetter checks what is shown of the letter. The reason is the letter's own, although the record has had some.
func checkLetter(t *testing.T, letters *application.Letters) {
	t.Helper()
	whole, err := letters.Show(t.Context(), "0-0")
	if err != nil {
		t.Fatal(err)
	}
	checkLast(t, "shown", whole.Record.MessageID, whole.Record.Headers)
	repeated := []string{"a=1", "a=\x00\xff", "a=", "b=1", "dead-letter-reason=1", "dead-letter-reason=2", "ключ=1"}
	if got := texts(whole.Record.Repeated); !slices.Equal(got, repeated) {
		t.Errorf("shown is %q, want %q", got, repeated)
	}
	if whole.Reason != "ours" || whole.Record.Headers[broker.DeadLetterReason] != "ours" {
		t.Errorf("the reason is %q", whole.Reason)
	}
}

// produceForeign makes the topic and puts a record into it.
func produceForeign(t *testing.T, b broker.Broker, servers, topic string) {
	t.Helper()
	if err := b.Publisher().Publish(topic, records(1)...); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(servers, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	record := kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte("x")}
	for _, h := range [][2]string{
		{uuidHeader, "other"}, {"b", "1"}, {"a", "1"}, {"a", "\x00\xff"}, {"ключ", "1"}, {broker.RepeatedMetadata, `[["YQ==","Zm9yZ2Vk"]]`},
		{"dead-letter-reason", "1"}, {broker.KeyMetadata, "1"}, {"a", ""}, {uuidHeader, "id"}, {"b", "2"}, {broker.KeyMetadata, "2"},
		{"dead-letter-reason", "2"}, {"a", "4"}, {"ключ", "2"}, {"c", "1"}, {broker.RepeatedMetadata, "x"},
	} {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	record.Headers = append(record.Headers, kgo.RecordHeader{Key: "null"})
	if err := client.ProduceSync(t.Context(), &record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// receiveForeign receives the record, which is the second of the topic.
func receiveForeign(t *testing.T, b broker.Broker, topic string) *message.Message {
	t.Helper()
	messages := subscribe(t, b, topic)
	receive(t, messages)
	select {
	case msg := <-messages:
		msg.Ack()
		return msg
	case <-time.After(patience):
		t.Fatal("no message came")
		return nil
	}
}

// keep has the message become a dead letter, and follows the dead letters.
func keep(t *testing.T, b broker.Broker, o broker.Options, msg *message.Message) *application.Letters {
	t.Helper()
	origin, _ := application.OriginFrom(msg.Context())
	return keepLetter(t, b, o, application.DeadLetter{
		Origin: origin, MessageID: msg.UUID, Value: msg.Payload, Headers: msg.Metadata, Reason: errors.New("ours"), Attempts: 1,
	})
}

func keepLetter(t *testing.T, b broker.Broker, o broker.Options, d application.DeadLetter) *application.Letters {
	t.Helper()
	if err := broker.NewDeadLetters(b.Publisher(), o.DeadLetterTopic, o.Logger).Keep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	log, ok := b.(broker.Replayable)
	if !ok {
		t.Fatal("the log cannot be read again")
	}
	all := broker.NewRecords(log)
	box := broker.NewLetters(log, all, o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { box.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		all.Close()
	})
	return application.NewLetters(box)
}

// rawHeaders reads the record at the offset by a client of its own, and returns its headers as they are.
func rawHeaders(t *testing.T, servers, topic string, offset int64) (headers []string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(servers, ",")...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {0: kgo.NewOffset().At(offset)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fetches := client.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	for _, h := range fetches.Records()[0].Headers {
		headers = append(headers, h.Key+"="+string(h.Value))
	}
	return headers
}

func texts(headers []application.Header) (all []string) {
	for _, h := range headers {
		all = append(all, h.Name+"="+h.Value)
	}
	return all
}

// without leaves out the headers whose names begin so.
func without(headers []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(headers), func(h string) bool { return strings.HasPrefix(h, prefix) })
}
