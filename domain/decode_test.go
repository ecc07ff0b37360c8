package domain

import ("testing";"time")

func BenchmarkDecode(b *testing.B) {
	in := []byte(`{"eventId":"0190a0a0-0000-7000-8000-000000000001","userId":"user-123","eventType":"page_view","timestamp":"2026-01-31T12:00:00Z","metadata":{"page":"/home","n":1.50,"tags":["a","b"],"nested":{"x":true}}}`)
	b.ReportAllocs()
	for b.Loop() {
		d, err := DecodeDraft(in)
		if err != nil { b.Fatal(err) }
		if e, err := d.Event(time.Now()); err != nil || len(e.JSON()) != len(in) { b.Fatal(string(e.JSON())) }
	}
}
