package broker_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

func TestOpenURL(t *testing.T) {
	var opened string
	drivers := map[string]broker.Open{
		"memory": func(_ context.Context, u *url.URL, o broker.Options) (broker.Broker, error) {
			opened = u.String() + o.Topic
			return &fakeBroker{}, nil
		},
		"kafka": nil,
	}
	if _, err := broker.OpenURL(t.Context(), drivers, "Memory:", broker.Options{Topic: "topic"}); err != nil || opened != "memory:topic" {
		t.Errorf("opened %q, error %v", opened, err)
	}
	for raw, want := range map[string]string{
		"":                        "kafka:, memory:",
		"memory":                  "kafka:, memory:",
		"pulsar://h":              "kafka:, memory:",
		"memory://alice:s3cret@h": "broker-password",
		"memory://alice:s3%cret@": "is not a URL",
	} {
		_, err := broker.OpenURL(t.Context(), drivers, raw, broker.Options{})
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3") {
			t.Errorf("%q: got the error %v, want one with %q", raw, err, want)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	var text strings.Builder
	f := &fakeBroker{}
	letters := broker.NewDeadLetters(f, "topic", slog.New(slog.NewTextHandler(&text, nil)))
	letter := application.DeadLetter{
		Origin: application.Origin{
			Position: application.Position{Partition: 3, Offset: 42}, Topic: "original", Key: []byte("user"), Time: time.Now(),
		},
		MessageID: "id", Value: []byte("poison"), Headers: map[string]string{"h": "v", broker.DeadLetterTopic: "forged"},
		Reason: errors.New("no JSON"), Attempts: 7, Consumer: "group",
	}
	if err := letters.Keep(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	msg := f.batches[0][0]
	for name, want := range map[string]string{
		"h": "v", broker.KeyMetadata: "user", broker.DeadLetterKey: "user", broker.DeadLetterReason: "no JSON",
		broker.DeadLetterTopic: "original", broker.DeadLetterPartition: "3", broker.DeadLetterOffset: "42",
		broker.DeadLetterAttempts: "7", broker.DeadLetterConsumer: "group",
	} {
		if msg.Metadata[name] != want {
			t.Errorf("%s is %q, want %q", name, msg.Metadata[name], want)
		}
	}
	if msg.UUID != "id" || string(msg.Payload) != "poison" {
		t.Errorf("id %q, value %q", msg.UUID, msg.Payload)
	}
	for _, want := range []string{"level=ERROR", "no JSON", "offset=42", "key=user", "topic=original", "to=topic"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log %q lacks %q", text.String(), want)
		}
	}
	letter.Key, letter.MessageID = nil, ""
	for range 2 {
		if err := letters.Keep(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	second, third := f.batches[1][0], f.batches[2][0]
	if _, given := second.Metadata[broker.KeyMetadata]; given || second.UUID == "" || second.UUID != third.UUID {
		t.Errorf("a letter without key and id: %q and %q, %q", second.UUID, third.UUID, second.Metadata)
	}
}
