package broker_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestAddHeader(t *testing.T) {
	metadata, repeated := message.Metadata{}, []application.Header(nil)
	for _, h := range []application.Header{
		{Name: "a", Value: "1"}, {Name: "b", Value: "\x00\xff"}, {Name: "a", Value: ""}, {Name: broker.KeyMetadata, Value: "k"},
		{Name: broker.RepeatedMetadata, Value: "[]"}, {Name: "\xfe", Value: "1"}, {Name: "", Value: "1"}, {Name: broker.KeyMetadata, Value: "l"},
		{Name: "\xfe", Value: "2"}, {Name: "b", Value: "2"}, {Name: "a", Value: "3"}, {Name: "", Value: "2"}, {Name: "c", Value: "1"},
	} {
		repeated = broker.AddHeader(metadata, repeated, h.Name, h.Value)
	}
	if last := (message.Metadata{"a": "3", "b": "2", "\xfe": "2", "": "2", "c": "1"}); !maps.Equal(metadata, last) {
		t.Errorf("the last are %q, want %q", metadata, last)
	}
	broker.SetRepeated(metadata, repeated)
	want := []application.Header{
		{Name: "a", Value: "1"}, {Name: "\xfe", Value: "1"}, {Name: "b", Value: "\x00\xff"}, {Name: "a", Value: ""}, {Name: "", Value: "1"},
	}
	if got := broker.Repeated(metadata); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNothingRepeated(t *testing.T) {
	metadata := message.Metadata{"a": "1"}
	broker.SetRepeated(metadata, nil)
	if got := broker.Repeated(metadata); got != nil || len(metadata) != 1 {
		t.Errorf("got %q of %q", got, metadata)
	}
	if n := testing.AllocsPerRun(100, func() { broker.Repeated(metadata) }); n != 0 {
		t.Errorf("that takes %v allocations", n)
	}
	for _, bad := range []string{"", "x", "{}", `"a"`, `[["YQ==",1]]`, `[["YQ==","?"]]`, `[["YQ==","YQ=="]`} {
		if got := broker.Repeated(message.Metadata{broker.RepeatedMetadata: bad}); len(got) != 0 {
			t.Errorf("%s: got %q", bad, got)
		}
	}
}

// withRepeated are headers, some of which are there several times.
func withRepeated() (message.Metadata, []application.Header) {
	repeated := []application.Header{{Name: "h", Value: "\xff"}, {Name: "h", Value: ""}, {Name: "other", Value: "1"}}
	headers := message.Metadata{"h": "3", "other": "2", broker.DeadLetterReason: "theirs"}
	broker.SetRepeated(headers, append(slices.Clone(repeated), application.Header{Name: broker.DeadLetterReason, Value: "earlier"}))
	return headers, repeated
}

// TestRepeatedHeaders follows them through a dead letter to the record that is sent again.
func TestRepeatedHeaders(t *testing.T) {
	p := &postal{}
	letters, _ := openLetters(t, p, 0)
	headers, repeated := withRepeated()
	given := maps.Clone(headers)
	err := broker.NewDeadLetters(p, "topic.dlq", slog.New(slog.DiscardHandler)).Keep(t.Context(), application.DeadLetter{
		Origin: application.Origin{Topic: "topic", Key: []byte("user")}, Value: []byte("x"), Headers: headers, Reason: errors.New("ours"),
	})
	if err != nil || !maps.Equal(headers, given) {
		t.Fatalf("error %v, the headers are now %q", err, headers)
	}
	shown, err := letters.Show(t.Context(), "0-0")
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got application.LogRecord, want []application.Header, reason string) {
		t.Helper()
		_, reserved := got.Headers[broker.RepeatedMetadata]
		if !slices.Equal(got.Repeated, want) || got.Headers["h"] != "3" || got.Headers["other"] != "2" || reserved ||
			got.Headers[broker.DeadLetterReason] != reason {
			t.Errorf("%s has %q and %q, want %q", what, got.Headers, got.Repeated, want)
		}
	}
	earlier := append(repeated, application.Header{Name: broker.DeadLetterReason, Value: "earlier"})
	check("the letter", shown.Record, append(slices.Clone(earlier), application.Header{Name: broker.DeadLetterReason, Value: "theirs"}), "ours")
	if done, err := letters.Requeue(t.Context(), "0-0", "me"); !done || err != nil {
		t.Fatalf("requeue: %t, %v", done, err)
	}
	records := broker.NewRecords(p)
	defer records.Close()
	page, err := records.Page(t.Context(), application.RecordQuery{Topic: "topic", Limit: 10})
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("got %d records, error %v", len(page.Records), err)
	}
	check("the requeued record", page.Records[0], earlier, "theirs")
}

// narrow takes no message with repeated headers.
type narrow struct {
	message.Publisher

	taken []message.Metadata
}

func (n *narrow) Publish(_ string, msgs ...*message.Message) error {
	for _, msg := range msgs {
		if broker.Repeated(msg.Metadata) != nil {
			return application.PublishError{fmt.Errorf("%w: too many headers", domain.ErrTooLarge)}
		}
		n.taken = append(n.taken, msg.Metadata)
	}
	return nil
}

// TestTooManyRepeatedHeaders has a letter that is too large with all headers: else the consumer could not go on.
func TestTooManyRepeatedHeaders(t *testing.T) {
	n := &narrow{}
	headers, _ := withRepeated()
	err := broker.NewDeadLetters(n, "topic.dlq", slog.New(slog.DiscardHandler)).Keep(t.Context(), application.DeadLetter{
		Headers: headers, Reason: errors.New("bad"),
	})
	if err != nil || len(n.taken) != 1 || n.taken[0]["h"] != "3" || n.taken[0][broker.DeadLetterLeftOut] != "repeated headers" {
		t.Errorf("taken are %q, error %v", n.taken, err)
	}
}
