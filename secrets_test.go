package netstreamflow_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestTokenSecretIsResolved signs tokens with the secret that a file holds, with the reference to it, which opens nothing, and
// with the one that is in the file later.
func TestTokenSecretIsResolved(t *testing.T) {
	const first, second = "the-first-secret-of-the-tokens-32", "the-second-secret-of-the-tokens32"
	path := file(t, first+"\n")
	cfg, err := load(t, []string{"--auth", "jwt", "--jwt-audience", "test", "--broker", "memory:", "--store", "memory:", "--listen", "127.0.0.1:0", "--admin-listen", ""},
		[]string{"NETSTREAMFLOW_JWT_SECRET_FILE=" + path})
	if err != nil {
		t.Fatal(err)
	}
	cfg.LogOutput = t.Output()
	url, _ := start(t, cfg)
	status := func(secret, subject string) int {
		t.Helper()
		claims := jwt.MapClaims{"aud": "test", "sub": subject, "scope": "events:read", "exp": time.Now().Add(time.Hour).Unix()}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for secret, want := range map[string]int{first: http.StatusOK, "file:" + path: http.StatusUnauthorized, path: http.StatusUnauthorized} {
		if got := status(secret, "a"); got != want {
			t.Errorf("a token of the secret %q: %d, want %d", secret, got, want)
		}
	}
	if err := os.WriteFile(path, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); status(second, "b") != http.StatusOK; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new secret is not used")
		}
	}
	if got := status(first, "c"); got != http.StatusUnauthorized {
		t.Errorf("a token of the secret from before: %d", got)
	}
	if err := os.WriteFile(path, []byte("too-short"), 0o600); err != nil {
		t.Fatal(err)
	}
	ready := func() string {
		t.Helper()
		res, err := http.Get(url + "/health/ready")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("ready: %d %v %s", res.StatusCode, err, body)
		}
		return string(body)
	}
	for end := time.Now().Add(patience); !strings.Contains(ready(), `"auth keys":{"status":"up","detail":"are those from before`); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("health does not tell: %s", ready())
		}
	}
	if got := status(second, "d"); got != http.StatusOK {
		t.Errorf("a token of the last good secret: %d", got)
	}
}
