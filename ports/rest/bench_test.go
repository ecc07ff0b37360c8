package rest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const benchEvent = `{"userId":"user-123","eventType":"page_view","timestamp":"2026-01-31T12:00:00Z","metadata":{"page":"/home","n":1.50,"tags":["a","b"]}}`

// noLog takes everything at once.
type noLog struct{}

func (noLog) Publish(context.Context, []domain.Event) (application.Receipt, error) {
	return application.Receipt{}, nil
}

func benchHandler(b *testing.B) http.Handler {
	b.Helper()
	h, err := NewHandler(Options{
		Publish: application.NewPublish(noLog{}, time.Minute), Find: application.NewFind(&fakeStore{}),
	})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// bare is the least that net/http can do with a body.
func bare(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = typeJSON
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"message":"Event published successfully","eventId":"`+someID+`"}`)
}

// BenchmarkPublish is the handler alone; BenchmarkPublishServed goes through the server and a connection.
func BenchmarkPublish(b *testing.B) {
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(bare), "api": benchHandler(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			body := strings.NewReader(benchEvent)
			r := httptest.NewRequest(http.MethodPost, "/api/events", io.NopCloser(body))
			r.ContentLength = int64(len(benchEvent))
			r.Header.Set("Content-Type", "application/json")
			w := &discarding{header: http.Header{}}
			for b.Loop() {
				body.Reset(benchEvent)
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkPublishServed(b *testing.B) {
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(bare), "api": benchHandler(b)} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewUnstartedServer(nil)
			server.Config = NewServer(h, Options{})
			server.Start()
			defer server.Close()
			client := server.Client()
			b.ReportAllocs()
			for b.Loop() {
				w, err := client.Post(server.URL+"/api/events", "application/json", strings.NewReader(benchEvent))
				if err != nil || w.StatusCode != http.StatusAccepted {
					b.Fatal(w, err)
				}
				_, _ = io.Copy(io.Discard, w.Body)
				w.Body.Close()
			}
		})
	}
}

func BenchmarkBatch(b *testing.B) {
	h := benchHandler(b)
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			text := strings.Repeat(benchEvent+"\n", n)
			body := strings.NewReader(text)
			r := httptest.NewRequest(http.MethodPost, batchPath, io.NopCloser(body))
			r.ContentLength = int64(len(text))
			r.Header.Set("Content-Type", "application/x-ndjson")
			w := &discarding{header: http.Header{}}
			for b.Loop() {
				body.Reset(text)
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}

func BenchmarkList(b *testing.B) {
	store := &fakeStore{stream: func(_ context.Context, _ application.Query, yield func([]byte) error) (string, error) {
		event := []byte(streamedEvent)
		for range 10_000 {
			if err := yield(event); err != nil {
				return "", err
			}
		}
		return "", nil
	}}
	h, err := NewHandler(Options{Publish: application.NewPublish(noLog{}, time.Minute), Find: application.NewFind(store)})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/events/user/u", http.NoBody)
	w := &discarding{header: http.Header{}}
	b.ReportAllocs()
	b.SetBytes(int64(10_000 * len(streamedEvent)))
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
