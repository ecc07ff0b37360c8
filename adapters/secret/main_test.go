package secret

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// sources are the built-in ones.
func sources() map[string]Open {
	return map[string]Open{
		"file": OpenFile, "env": OpenEnvironment, "literal": OpenLiteral,
		"awssm": OpenAWS, "azkv": OpenAzure, "vault": OpenVault,
	}
}

// open opens a reference.
func open(t *testing.T, reference string) Source {
	t.Helper()
	_, s, err := Find(sources(), reference)
	if err != nil {
		t.Fatalf("%s: %v", reference, err)
	}
	return s
}

func wantSecret(t *testing.T, s Source, want string) {
	t.Helper()
	got, err := s.Fetch(t.Context())
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// wantError checks the one line that a user gets to see: it has the texts and nothing of the secrets.
func wantError(t *testing.T, s Source, kind error, texts []string, secrets ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	k := kept{Named: Named{Setting: "some-password", Scheme: "scheme", Source: s}}
	_, err := k.fetch(ctx)
	if !isKind(err, kind) {
		t.Errorf("got the error %v, want %v", err, kind)
		return
	}
	line := err.Error()
	for _, text := range append(texts, "--some-password", "scheme:") {
		if !strings.Contains(line, text) {
			t.Errorf("%q lacks %q", line, text)
		}
	}
	for _, s := range secrets {
		if strings.Contains(line, s) {
			t.Errorf("%q has the secret %q", line, s)
		}
	}
	if strings.ContainsAny(line, "\n\r\t") {
		t.Errorf("%q is not one line", line)
	}
}

func isKind(err, kind error) bool {
	return err != nil && (kind == nil || strings.Contains(err.Error(), kind.Error()))
}
