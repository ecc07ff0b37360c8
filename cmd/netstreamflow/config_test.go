package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigCommand(t *testing.T) {
	environ := []string{"NETSTREAMFLOW_TOPIC=clicks", "NETSTREAMFLOW_STORE_PASSWORD=s3cret"}
	status, yaml, stderr := output(t, environ, "config", "--partitions", "3")
	if status != 0 || stderr != "" || strings.Contains(yaml, "s3cret") {
		t.Fatalf("status %d: %s\n%s", status, stderr, yaml)
	}
	for _, want := range []string{
		"topic: \"clicks\"", "# environment NETSTREAMFLOW_TOPIC", "partitions: 3", "# flag --partitions", "listen: \"127.0.0.1:5000\"", "# default",
	} {
		if !strings.Contains(yaml, want) {
			t.Errorf("it lacks %q:\n%s", want, yaml)
		}
	}
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	status, asJSON, stderr := output(t, nil, "config", "--config", path, "--json")
	var settings []struct {
		Name, Value, Origin string
		Secret, Set         bool
	}
	if err := json.Unmarshal([]byte(asJSON), &settings); status != 0 || err != nil || len(settings) < 20 {
		t.Fatalf("status %d, %v: %s\n%s", status, err, stderr, asJSON)
	}
	for _, s := range settings {
		if s.Name == "topic" && (s.Value != "clicks" || s.Origin != "file "+path || !s.Set) || s.Name == "store-password" && (s.Value != "" || s.Set || !s.Secret) {
			t.Errorf("%+v", s)
		}
	}
}

// TestSecretsThatCannotBeHad checks the statuses: a failure is 1, a reference that can never be meant, or to nothing on this machine, is 2.
func TestSecretsThatCannotBeHad(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"VAULT_ADDR=http://127.0.0.1:1", "VAULT_MAX_RETRIES=0", "VAULT_TOKEN=hvs.s3cret"}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"serve", "--store-password", "vault://secret/s3cret#password"}, 1, "--store-password: its secret (vault:) cannot be had: unavailable: "},
		{[]string{"serve", "--store-password", "env:UNSET_VARIABLE"}, 2, `--store-password "env:UNSET_VARIABLE" must name an environment variable`},
		{[]string{"serve", "--store-password", "file:/no/such"}, 2, `--store-password "file:/no/such" must name a readable file`},
		{[]string{"verify", "--store-password", "file:" + empty}, 2, `--store-password "file:` + empty + `" must name a readable file`},
		{[]string{"rebuild", "--store-password", "file:/"}, 2, `--store-password "file:/" must name a readable file`},
		{[]string{"config", "--store-password", "file:/no/such"}, 2, `--store-password "file:/no/such" must name a readable file`},
		{[]string{"config", "--store-password", "vault://secret/s3cret#password", "--broker-password", "literal:"}, 2, "--broker-password holds a malformed literal: reference"},
		{[]string{"serve", "--store-password", "vault:s3cret"}, 2, "--store-password holds a malformed vault: reference: it must be vault://MOUNT/PATH#FIELD"},
		{[]string{"verify", "--broker-password", "awssm:s3cret"}, 2, "--broker-password holds a malformed awssm: reference"},
		{[]string{"config", "--broker-password", "azkv://s3cret"}, 2, "--broker-password holds a malformed azkv: reference"},
		{[]string{"config", "--secrets-refresh", "1"}, 2, `--secrets-refresh "1" must be 0 or a duration`},
		{[]string{"config", "--nope"}, 2, "--nope is unknown"},
	} {
		status, stdout, stderr := output(t, environ, c.args...)
		if status != c.status || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, want %d, stdout %q, stderr %q", c.args, status, c.status, stdout, stderr)
		}
		if strings.Contains(strings.ToLower(stderr), "hvs.s3cret") {
			t.Errorf("%v: stderr %q", c.args, stderr)
		}
	}
}
