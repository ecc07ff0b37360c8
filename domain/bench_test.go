package domain

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

const typical = `{"eventId":"` + someID + `","userId":"user-123","eventType":"page_view","timestamp":"2026-01-31T12:00:00Z",` +
	`"metadata":{"page":"/home","n":1.50,"tags":["a","b"],"nested":{"x":true}}}`

// BenchmarkDecode is the way of an event into the log.
func BenchmarkDecode(b *testing.B) {
	text := []byte(typical)
	b.ReportAllocs()
	for b.Loop() {
		encodeAgain(b, text)
	}
}

func encodeAgain(b *testing.B, text []byte) {
	d, err := DecodeDraft(text)
	if err != nil {
		b.Fatal(err)
	}
	if e, err := d.Event(time.Now()); err != nil || len(e.JSON()) == 0 {
		b.Fatal(err)
	}
}

// BenchmarkDecodeStandard is the same by encoding/json, which checks less.
func BenchmarkDecodeStandard(b *testing.B) {
	type event struct {
		ID        string          `json:"eventId"`
		UserID    string          `json:"userId"`
		EventType string          `json:"eventType"`
		Timestamp time.Time       `json:"timestamp"`
		Metadata  json.RawMessage `json:"metadata"`
	}
	text := []byte(typical)
	b.ReportAllocs()
	for b.Loop() {
		var e event
		if err := json.Unmarshal(text, &e); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewUUID(b *testing.B) {
	now := time.Now()
	for b.Loop() {
		NewUUID(now)
	}
}

// BenchmarkDecodeWorst shows that no input of one MiB costs more than a few others of its size.
func BenchmarkDecodeWorst(b *testing.B) {
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	inputs := []struct{ name, metadata string }{
		{"plain", `{"a":"` + fill("a") + `"}`},
		{"escapes", `{"a":"` + fill(`\n`) + `"}`},
		{"surrogates", `{"a":"` + fill(`\ud83d\ude00`) + `"}`},
		{"escapedName", `{"` + fill(`\u00e9`) + `":1}`},
		{"beyondASCII", `{"a":"` + fill("é") + `"}`},
		{"digits", `{"a":` + fill("1") + `}`},
		{"space", `{"a":` + fill(" ") + `1}`},
		{"brackets", `{"a":[` + fill("[],") + `[]]}`},
		{"objects", `{"a":[` + fill("{},") + `{}]}`},
		{"deep", `{"a":[` + fill(nested(MaxDepth-3)+",") + `[]]}`},
		{"names", many(100_000, strconv.Itoa)},
		{"fewNames", `{"a":[` + fill(many(16, strconv.Itoa)+",") + `[]]}`},
		{"someNames", `{"a":[` + fill(many(17, strconv.Itoa)+",") + `[]]}`},
		{"longNames", many(16, func(i int) string { return strings.Repeat("a", size/16) + strconv.Itoa(i%10) + strconv.Itoa(i/10) })},
	}
	for _, in := range inputs {
		text := []byte(withMetadata(in.metadata))
		b.Run(in.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				encodeAgain(b, text)
			}
		})
	}
}

// BenchmarkSplitArray shows that depth costs nothing.
func BenchmarkSplitArray(b *testing.B) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"events": "[" + strings.Repeat(typical+",", size/len(typical)) + typical + "]",
		"deep":   nested(size / 2),
		"open":   strings.Repeat("[", size),
	} {
		bytes := []byte(text)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = SplitArray(bytes)
			}
		})
	}
}
