package kafkatest

import (
	"errors"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
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
