package admin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/ports/admin"
)

func answering(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

func options() admin.Options {
	return admin.Options{
		Metrics: answering("the metrics"), Health: answering("the health"), IsLocal: auth.IsLoopback,
	}
}

func ask(t *testing.T, o admin.Options, method, host, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	admin.NewHandler(o).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	const here = "127.0.0.1:5001"
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/", 200, "/debug/pprof/"},
		{"GET", "/metrics", 200, "the metrics"},
		{"GET", "/health/live", 200, "the health"},
		{"GET", "/health/ready", 200, "the health"},
		{"GET", "/health/other", 404, ""},
		{"GET", "/buildinfo", 200, "path\t"},
		{"GET", "/debug/pprof/", 200, "/debug/pprof/goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{"GET", "/debug/pprof/cmdline", 400, "no such profile"},
		{"GET", "/debug/pprof/profile?seconds=61", 400, "up to 60"},
		{"GET", "/debug/pprof/profile?seconds=NaN", 400, "up to 60"},
		{"GET", "/debug/pprof/trace?seconds=-1", 400, "up to 60"},
		{"GET", "/api/events", 404, ""},
		{"POST", "/metrics", 405, ""},
		{"POST", "/debug/pprof/profile", 405, ""},
	} {
		if status, body := ask(t, options(), tt.method, here, tt.path); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %.200q, want %d and %q", tt.method, tt.path, status, body, tt.status, tt.want)
		}
	}
}

// TestNamesOfOthers has a browser come with the name of a page that now resolves to this machine.
func TestNamesOfOthers(t *testing.T) {
	for host, want := range map[string]int{
		"127.0.0.1:5001": 200, "127.0.0.1": 200, "localhost:5001": 200, "LOCALHOST": 200, "[::1]:5001": 200, "[::1]": 200, "127.9.9.9:1": 200,
		"attacker.example:5001": 421, "attacker.example": 421, "localhost.attacker.example": 421, "10.0.0.1:5001": 421, "": 421,
		"0.0.0.0:5001": 421, "127.0.0.1.attacker.example:5001": 421,
	} {
		for _, path := range []string{"/metrics", "/debug/pprof/heap", "/nothing"} {
			wanted := want
			if want == 200 && path == "/nothing" {
				wanted = 404
			}
			if status, body := ask(t, options(), "GET", host, path); status != wanted {
				t.Errorf("%s at %q: %d %.100q, want %d", path, host, status, body, wanted)
			}
		}
	}
	anywhere := options()
	anywhere.IsLocal = nil
	if status, _ := ask(t, anywhere, "GET", "netstreamflow:5001", "/metrics"); status != 200 {
		t.Errorf("%d where every name will do", status)
	}
}

// TestProfiles takes profiles from a server as go tool pprof does: they are packed.
func TestProfiles(t *testing.T) {
	base, cancel := context.WithCancel(t.Context())
	server := admin.NewServer(base, options())
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	url := "http://" + listener.Addr().String() + "/debug/pprof/"
	fetch := func(path string) []byte {
		t.Helper()
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %v %.100q", path, res.StatusCode, err, body)
		}
		return body
	}
	for _, name := range []string{"heap", "allocs", "goroutine", "profile?seconds=0.1"} {
		if _, err := gzip.NewReader(bytes.NewReader(fetch(name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.HasPrefix(fetch("trace?seconds=0.1"), []byte("go 1.")) {
		t.Error("that is no trace")
	}
	// One that takes long ends with the service.
	long := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		res, err := http.Get(url + "profile?seconds=60")
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		long <- err
	}()
	<-started
	cancel()
	<-long
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
