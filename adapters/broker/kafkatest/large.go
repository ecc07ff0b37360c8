package kafkatest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// LargeLetter has a record become a dead letter that is larger than its topic takes, as one may be that came in a compressed batch:
// the letter lacks the value and says so, so that the consumer can go on.
func LargeLetter(t *testing.T, servers string, o broker.Options, open Open) {
	t.Helper()
	o.Partitions, o.DeadLetterTopic = 1, o.Topic+".dlq"
	b := open(t, servers, "", o)
	at := application.Position{Partition: 3, Offset: 14}
	letters := keepLetter(t, b, o, application.DeadLetter{
		Origin: application.Origin{Topic: o.Topic, Position: at, Key: []byte(strings.Repeat("k", 300_000))}, MessageID: "id",
		Value: []byte(strings.Repeat("v", 3_000_000)), Headers: map[string]string{"h": strings.Repeat("h", 900_000)},
		Reason: errors.New("ours"), Attempts: 1,
	})
	checkLarge(t, letters, application.Place{Topic: o.Topic, Position: at})
	if _, err := letters.Requeue(t.Context(), "0-0", "me"); !errors.Is(err, application.ErrIncomplete) {
		t.Errorf("requeue: %v", err)
	}
	report, err := letters.RequeueMany(t.Context(), application.LetterQuery{}, "me")
	if err != nil || report.Failed != 1 || report.Requeued != 0 {
		t.Errorf("requeue of all: %+v, %v", report, err)
	}
	if done, err := letters.Drop(t.Context(), "0-0", "me"); !done || err != nil {
		t.Errorf("drop: %t, %v", done, err)
	}
}

// LimitIsRaised has a record that is too large for its topic, until somebody raises the topic's limit.
func LimitIsRaised(t *testing.T, servers string, o broker.Options, open Open) {
	t.Helper()
	b := open(t, servers, "", o)
	publish := func() error {
		msg := records(1)[0]
		msg.Payload = make([]byte, 2_000_000)
		return b.Publisher().Publish(o.Topic, msg)
	}
	if err := publish(); !errors.Is(err, domain.ErrTooLarge) {
		t.Fatalf("got the error %v, want too large", err)
	}
	limit := "3000000"
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: o.Topic,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "max.message.bytes", Value: &limit}},
	}}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(servers, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if answer, err := alter.RequestWith(t.Context(), client); err != nil || answer.Resources[0].ErrorCode != 0 {
		t.Fatalf("raise the limit: %+v, %v", answer, err)
	}
	for end := time.Now().Add(patience); ; {
		err := publish()
		if err == nil {
			return
		}
		if !errors.Is(err, domain.ErrTooLarge) || time.Now().After(end) {
			t.Fatalf("with the limit raised: %v", err)
		}
	}
}

func checkLarge(t *testing.T, letters *application.Letters, from application.Place) {
	t.Helper()
	w, err := letters.Show(t.Context(), "0-0")
	if err != nil {
		t.Fatal(err)
	}
	const lacks = "value of 3000000 bytes, headers, and the end of a long key"
	if h := w.Record.Headers; h[broker.DeadLetterLeftOut] != lacks || h["h"] != "" || !w.Incomplete || len(w.Record.Value) != 0 {
		t.Errorf("the letter lacks %q, and has %d bytes", h[broker.DeadLetterLeftOut], len(w.Record.Value))
	}
	if w.Reason != "ours" || w.From != from || w.Record.MessageID != "id" || len(w.Key) != 256 {
		t.Errorf("the letter is %+v", w.Letter)
	}
}
