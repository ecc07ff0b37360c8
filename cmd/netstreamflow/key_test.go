package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeKey runs key new and returns the key and its entry.
func makeKey(t *testing.T, args ...string) (key, entry string) {
	t.Helper()
	status, stdout, stderr := output(t, nil, append([]string{"key", "new"}, args...)...)
	if status != 0 || stderr != "" {
		t.Fatalf("%d %s", status, stderr)
	}
	key, entry, ok := strings.Cut(stdout, "\n\n")
	if !ok || !strings.HasPrefix(key, "nsf_") || strings.Contains(entry, key) {
		t.Fatalf("%q", stdout)
	}
	return key, entry
}

// TestKey makes keys, starts the service with one, and gives it the other while it runs.
func TestKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	put := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shop, entryOfShop := makeKey(t, "--name", "shop", "--scopes", "events:write,events:read")
	other, entryOfOther := makeKey(t, "--name", "other", "--scopes", "events:read")
	put(entryOfShop)
	s := serve(t, "--auth", "api-key", "--api-keys", file)
	s.awaitReady()
	ask := func(method, key string) int {
		status, _, _, err := s.request(t.Context(), method, "/api/events", `{"userId":"u","eventType":"t"}`, "Authorization", "Bearer "+key)
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if status := ask(http.MethodPost, shop); status != http.StatusAccepted {
		t.Errorf("a key: %d", status)
	}
	if status := s.post(`{"userId":"u","eventType":"t"}`); status != http.StatusUnauthorized {
		t.Errorf("no key: %d", status)
	}
	if status := ask(http.MethodGet, other); status != http.StatusUnauthorized {
		t.Errorf("a key that is not in the file: %d", status)
	}
	put(entryOfOther)
	eventually(t, "the other key is taken", func() bool { return ask(http.MethodGet, other) == http.StatusOK })
	if status := ask(http.MethodPost, other); status != http.StatusForbidden {
		t.Errorf("without the scope: %d", status)
	}
	if status := ask(http.MethodPost, shop); status != http.StatusUnauthorized {
		t.Errorf("a key that was withdrawn: %d", status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		for _, v := range line {
			if text, ok := v.(string); ok && (strings.Contains(text, shop) || strings.Contains(text, other)) {
				t.Errorf("a key is logged: %v", line)
			}
		}
	}
}

func TestBadKeyIsStatus2(t *testing.T) {
	for want, args := range map[string][]string{
		"name": {"key", "new"}, "scopes": {"key", "new", "--name", "a", "--scopes", "all"}, "takes no argument": {"key", "new", "x"}, "--nope": {"key", "new", "--nope"},
	} {
		status, stdout, stderr := output(t, nil, args...)
		if status != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%v: %d %q %q", args, status, stdout, stderr)
		}
	}
}

// TestOpenServiceMustBeWanted starts the service where others can reach it.
func TestOpenServiceMustBeWanted(t *testing.T) {
	status, _, stderr := output(t, nil, "serve", "--listen", "0.0.0.0:0", "--data-dir", t.TempDir())
	if status != 2 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, `--listen "0.0.0.0:0"`) || !strings.Contains(stderr, "--insecure-no-auth") {
		t.Errorf("%d %s", status, stderr)
	}
	s := serve(t, "--listen", "0.0.0.0:0", "--insecure-no-auth")
	if lines := s.logged("everybody who reaches this service may write and read everything: there is no authentication"); len(lines) != 1 || lines[0]["level"] != "WARN" {
		t.Errorf("%v", lines)
	}
}

// TestListeningWithTLS: the first line "listening" is that of HTTP, also with TLS.
func TestListeningWithTLS(t *testing.T) {
	s := serve(t, "--tls-self-signed", "--listen-tls", "127.0.0.1:0")
	s.awaitReady()
	eventually(t, "the line of TLS", func() bool { return len(s.logged("listening for TLS")) == 1 })
	lines, secure := s.logged("listening"), s.logged("listening for TLS")
	if len(lines) != 1 || secure[0]["tls"] != true || secure[0]["addr"] == lines[0]["addr"] {
		t.Errorf("%v %v", lines, secure)
	}
}
