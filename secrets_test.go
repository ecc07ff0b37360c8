package netstreamflow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/secret"
	"github.com/netstreamflow/netstreamflow/domain"
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

// TestReferencesToNothing has references to what is not on this machine, in all the ways in which they can be given: they are bad
// values, which the line shows, and what a file holds it does not.
func TestReferencesToNothing(t *testing.T) {
	t.Setenv("SECRETS_TEST_EMPTY", "")
	folder := t.TempDir()
	for reference, why := range map[string]string{
		"file:/no/such": "no such file", "file:" + folder: "directory", "file:" + file(t, ""): "empty", "file:" + file(t, "\r\n"): "empty",
		"file:" + file(t, strings.Repeat("s3cret", 11_000)): "more than 65536 bytes", "file:secrets_test.go/x": "not a directory",
		"env:SECRETS_TEST_UNSET": "not set", "env:SECRETS_TEST_EMPTY": "empty",
	} {
		settings := file(t, "broker-password: "+reference)
		ways := map[string][2][]string{
			"--broker-password":                  {{"--broker-password", reference}},
			"NETSTREAMFLOW_BROKER_PASSWORD":      {1: {"NETSTREAMFLOW_BROKER_PASSWORD=" + reference}},
			"NETSTREAMFLOW_STORE_PASSWORD":       {{"--store-password", "x"}, {"NETSTREAMFLOW_STORE_PASSWORD=" + reference}},
			"broker-password in " + settings:     {{"--config", settings}},
			"NETSTREAMFLOW_BROKER_PASSWORD_FILE": {},
		}
		shown := func(string) string { return reference }
		if path, is := strings.CutPrefix(reference, "file:"); is {
			ways["NETSTREAMFLOW_BROKER_PASSWORD_FILE"] = [2][]string{1: {"NETSTREAMFLOW_BROKER_PASSWORD_FILE=" + path}}
			ways["NETSTREAMFLOW_JWT_SECRET_FILE"] = [2][]string{{"--auth", "jwt", "--jwt-audience", "a", "--jwt-secret", strings.Repeat("x", 32)}, {"NETSTREAMFLOW_JWT_SECRET_FILE=" + path}}
			shown = func(spelling string) string {
				if strings.HasSuffix(spelling, "_FILE") {
					return path
				}
				return reference
			}
		} else {
			delete(ways, "NETSTREAMFLOW_BROKER_PASSWORD_FILE")
		}
		for spelling, given := range ways {
			checkRefused(t, given[0], given[1], fmt.Sprintf("%s %q must name ", spelling, shown(spelling)), why)
		}
	}
}

// checkRefused wants both the service and the list of its settings to refuse what was given.
func checkRefused(t *testing.T, args, environ []string, begin, why string) {
	t.Helper()
	cfg, err := load(t, append(args, "--broker", "memory:", "--store", "memory:"), environ)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
	_, listed := cfg.Effective(t.Context(), netstreamflow.BuiltIn())
	var fault *netstreamflow.SettingError
	if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), begin) || !strings.Contains(err.Error(), why) {
		t.Errorf("%q %q: %v, want %s…: %s", args, environ, err, begin, why)
		return
	}
	if listed == nil || listed.Error() != err.Error() || strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%q, and of the list %v", err, listed)
	}
}

// elsewhere is a source that is away.
type elsewhere struct{ local bool }

func (e elsewhere) Local() bool { return e.local }

func (e elsewhere) Fetch(context.Context) (string, error) {
	return "", fmt.Errorf("%w: nobody\nis there", domain.ErrUnavailable)
}

// TestSourcesElsewhereMayBeAway tells a failure, after which starting again may help, from a bad value.
func TestSourcesElsewhereMayBeAway(t *testing.T) {
	for _, local := range []bool{false, true} {
		d := netstreamflow.BuiltIn()
		d.Secrets["else"] = func(string) (secret.Source, error) { return elsewhere{local}, nil }
		cfg, err := load(t, []string{"--broker", "memory:", "--store", "memory:", "--listen", "127.0.0.1:0", "--broker-password", "else:where"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = netstreamflow.New(t.Context(), cfg, d)
		var fault *netstreamflow.SettingError
		if errors.As(err, &fault) != local || err == nil || !strings.HasSuffix(err.Error(), "nobody is there") {
			t.Errorf("local %t: %v", local, err)
		}
		if _, err := cfg.Effective(t.Context(), d); (err != nil) != local {
			t.Errorf("local %t: %v", local, err)
		}
	}
}

// TestEndWhileASecretIsAwaited is no fault of the setting.
func TestEndWhileASecretIsAwaited(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := netstreamflow.BuiltIn()
	d.Secrets["else"] = func(string) (secret.Source, error) { return elsewhere{true}, nil }
	cfg := netstreamflow.DefaultConfig()
	cfg.BrokerPassword = "else:where"
	_, _, err := netstreamflow.New(ctx, cfg, d)
	var fault *netstreamflow.SettingError
	if errors.As(err, &fault) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
