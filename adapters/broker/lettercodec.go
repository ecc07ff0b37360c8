package broker

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// The headers of a mark: a record among the dead letters, without a value, that says what was done with one of them. It has
// the letter's key, so that it comes behind the letter in the same partition.
const (
	DeadLetterAction = "dead-letter-action"
	DeadLetterOf     = "dead-letter-of"
	DeadLetterBy     = "dead-letter-by"
)

// letterHeaders are those that a dead letter has beside those of the original record.
var letterHeaders = []string{
	DeadLetterReason, DeadLetterTopic, DeadLetterPartition, DeadLetterOffset, DeadLetterKey, DeadLetterAttempts, DeadLetterConsumer,
	DeadLetterTime, DeadLetterRecordTime, DeadLetterLeftOut,
}

// What is kept in memory of a letter's texts.
const (
	maxLetterReason = 512
	maxLetterKey    = domain.MaxUserIDBytes
)

// encodeMark makes the mark that says what was done with the letter.
func encodeMark(l application.Letter, done application.Action, by string, now time.Time) *message.Message {
	msg := message.NewMessage(domain.NamedUUID("dead letter", string(done), l.ID()).String(), nil)
	msg.Metadata = message.Metadata{
		DeadLetterAction: string(done), DeadLetterOf: l.ID(), DeadLetterTime: now.UTC().Format(time.RFC3339Nano),
	}
	if by != "" {
		msg.Metadata[DeadLetterBy] = by
	}
	if l.Key != nil {
		msg.Metadata[KeyMetadata] = string(l.Key)
	}
	return msg
}

// markOf returns the letter that a mark is about. A record that is given up keeps its headers, those of a mark too if it has any:
// it is a letter by the topic that it came from, which no mark has.
func markOf(msg *message.Message) (of application.Position, isMark bool) {
	if msg.Metadata[DeadLetterAction] == "" || msg.Metadata[DeadLetterTopic] != "" {
		return of, false
	}
	of, err := application.ParseLetterID(msg.Metadata[DeadLetterOf])
	if err != nil {
		of = application.Position{Partition: -1} // a mark of nothing
	}
	return of, true
}

// letterOf reads the headers of a dead letter. Somebody else's record may have none of them.
func letterOf(record application.LogRecord) application.Letter {
	h := record.Headers
	l := application.Letter{
		Position: record.Position, Time: record.Time, Key: beginning(record.Key), Reason: cutText(h[DeadLetterReason], maxLetterReason),
		Attempts: count(h[DeadLetterAttempts]) + count(h[application.HeaderAttempts]), Requeues: count(h[application.HeaderRequeues]),
		Consumer: cutText(h[DeadLetterConsumer], maxLetterKey), Size: len(record.Value),
	}
	if t, err := time.Parse(time.RFC3339Nano, h[DeadLetterTime]); err == nil {
		l.Time = t
	}
	if _, keyed := h[DeadLetterKey]; !keyed && len(l.Key) == 0 {
		l.Key = nil
	}
	l.From, _ = application.ParsePlace(h[DeadLetterTopic] + "/" + h[DeadLetterPartition] + "/" + h[DeadLetterOffset])
	if l.First = l.From; h[application.HeaderOrigin] != "" {
		l.First, _ = application.ParsePlace(h[application.HeaderOrigin])
	}
	return l
}

// beginning copies what is kept of a key: it must not hold the record in memory.
func beginning(key []byte) []byte {
	if key == nil {
		return nil
	}
	return append([]byte{}, key[:min(len(key), maxLetterKey)]...)
}

func cutText(text string, limit int) string {
	if len(text) > limit {
		end := limit
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return text
}

// count reads a number of times.
func count(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// encodeRequeued makes the record of a letter once more, as it was, with what tells where it comes from.
func encodeRequeued(w application.WholeLetter) *message.Message {
	msg := message.NewMessage(w.Record.MessageID, w.Record.Value)
	maps.Copy(msg.Metadata, w.Record.Headers)
	repeated := slices.Clone(w.Record.Repeated)
	for _, name := range letterHeaders {
		delete(msg.Metadata, name)
		for i, h := range slices.Backward(repeated) {
			if h.Name == name { // the record's own
				msg.Metadata[name] = h.Value
				repeated = slices.Delete(repeated, i, i+1)
				break
			}
		}
	}
	SetRepeated(msg.Metadata, repeated)
	msg.Metadata[application.HeaderRequeues] = strconv.Itoa(w.Requeues + 1)
	msg.Metadata[application.HeaderAttempts] = strconv.Itoa(w.Attempts)
	if _, ok := application.ParsePlace(msg.Metadata[application.HeaderOrigin]); !ok {
		place, made := w.From, w.Record.Headers[DeadLetterRecordTime]
		if place.Topic == "" { // somebody else's record: its own place is as good as any
			place = application.Place{Topic: w.Record.Topic, Position: w.Record.Position}
		}
		if made == "" {
			made = w.Record.Time.UTC().Format(time.RFC3339Nano)
		}
		msg.Metadata[application.HeaderOrigin], msg.Metadata[application.HeaderOriginTime] = place.String(), made
	}
	if w.Record.Key != nil {
		msg.Metadata[KeyMetadata] = string(w.Record.Key)
	}
	return msg
}
