package secret

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/netstreamflow/netstreamflow/domain"
)

// fakeVault speaks as much of Vault's API as reading a secret takes: tokens, the key-value engine of version 2, the login with
// a service account's token, and its errors.
type fakeVault struct {
	mu sync.Mutex
	// tokens are those that may read.
	tokens map[string]bool
	// secrets are by mount and path; nil is one whose last version was deleted.
	secrets map[string]map[string]any
	sealed  int
	logins  int
}

func newFakeVault(t *testing.T) *fakeVault {
	t.Helper()
	v := &fakeVault{tokens: map[string]bool{"hvs.good": true}, secrets: map[string]map[string]any{}}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /v1/{mount}/data/{path...}", v.read)
	routes.HandleFunc("PUT /v1/auth/{method}/login", v.login)
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	for _, name := range []string{"VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_SKIP_VERIFY", vaultTokenFile, vaultRole, vaultLogin, vaultJWT} {
		t.Setenv(name, "")
	}
	t.Setenv("VAULT_ADDR", server.URL)
	return v
}

func (v *fakeVault) read(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sealed > 0 {
		v.sealed--
		refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	if !v.tokens[r.Header.Get("X-Vault-Token")] || r.Header.Get("X-Vault-Request") != "true" {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	found, there := v.secrets[r.PathValue("mount")+"/"+r.PathValue("path")]
	switch {
	case !there:
		refuse(w, http.StatusNotFound)
		return
	case found == nil:
		w.WriteHeader(http.StatusNotFound)
	}
	answer(w, map[string]any{
		"request_id": "0b6bb8c6-7b2a-4c0e-9a3a-0c9b6c9cdb38", "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": map[string]any{"data": found, "metadata": map[string]any{
			"created_time": "2026-01-31T12:00:00.000000000Z", "custom_metadata": nil, "deletion_time": "", "destroyed": false, "version": 3,
		}},
		"wrap_info": nil, "warnings": nil, "auth": nil,
	})
}

func (v *fakeVault) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ Role, JWT string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || r.PathValue("method") != "kubernetes" || body.Role != "events" || body.JWT != "the.service.account" {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.logins++
	v.tokens["hvs.from-login"] = true
	answer(w, map[string]any{"auth": map[string]any{
		"client_token": "hvs.from-login", "accessor": "a", "policies": []string{"events"}, "lease_duration": 60, "renewable": true,
	}})
}

func refuse(w http.ResponseWriter, status int, errors ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if errors == nil {
		errors = []string{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": errors})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (v *fakeVault) set(path string, secret map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[path] = secret
}

func TestVault(t *testing.T) {
	v := newFakeVault(t)
	t.Setenv("VAULT_TOKEN", "hvs.good")
	v.set("secret/prod/kafka", map[string]any{"password": "first", "pin": 1234, "nested": map[string]any{"a": "s3cret"}})
	s := open(t, "vault://secret/prod/kafka#password")
	wantSecret(t, s, "first")
	v.set("secret/prod/kafka", map[string]any{"password": "second", "pin": 1234, "nested": map[string]any{"a": "s3cret"}})
	wantSecret(t, s, "second")
	wantSecret(t, open(t, "vault://secret/prod/kafka#pin"), "1234")
	wantError(t, open(t, "vault://secret/prod/kafka#other"), domain.ErrNotFound, []string{"no such field"}, "second")
	wantError(t, open(t, "vault://secret/prod/kafka#nested"), domain.ErrNotFound, []string{"no such field"}, "s3cret")
	wantError(t, open(t, "vault://secret/prod/none#password"), domain.ErrNotFound, []string{"no such secret"})
	v.set("secret/prod/kafka", nil)
	wantError(t, s, domain.ErrNotFound, nil, "second")
}

func TestVaultRefuses(t *testing.T) {
	v := newFakeVault(t)
	v.set("secret/kafka", map[string]any{"password": "s3cret"})
	s := open(t, "vault://secret/kafka#password")
	wantError(t, s, domain.ErrUnavailable, []string{"Vault says 403", "permission denied"})
	t.Setenv("VAULT_TOKEN", "hvs.bad")
	wantError(t, open(t, "vault://secret/kafka#password"), domain.ErrUnavailable, []string{"Vault says 403"}, "hvs.bad")
}

// TestVaultIsTriedAgain is sealed for one request.
func TestVaultIsTriedAgain(t *testing.T) {
	v := newFakeVault(t)
	t.Setenv("VAULT_TOKEN", "hvs.good")
	v.set("secret/kafka", map[string]any{"password": "s3cret"})
	v.sealed = 1
	wantSecret(t, open(t, "vault://secret/kafka#password"), "s3cret")
}

func TestVaultAway(t *testing.T) {
	newFakeVault(t)
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_MAX_RETRIES", "0")
	wantError(t, open(t, "vault://secret/kafka#password"), domain.ErrUnavailable, []string{"refused"})
}

// TestVaultTokenFile follows an agent that renews the token.
func TestVaultTokenFile(t *testing.T) {
	v := newFakeVault(t)
	v.set("secret/kafka", map[string]any{"password": "s3cret"})
	path := filepath.Join(t.TempDir(), "token")
	t.Setenv(vaultTokenFile, path)
	s := open(t, "vault://secret/kafka#password")
	wantError(t, s, domain.ErrNotFound, []string{vaultTokenFile, "no such file"})
	write(t, path, "hvs.good\n")
	wantSecret(t, s, "s3cret")
	v.mu.Lock()
	v.tokens = map[string]bool{"hvs.renewed": true}
	v.mu.Unlock()
	wantError(t, s, domain.ErrUnavailable, []string{"403"}, "hvs.good")
	write(t, path, "hvs.renewed")
	wantSecret(t, s, "s3cret")
}

func TestVaultKubernetesLogin(t *testing.T) {
	v := newFakeVault(t)
	v.set("secret/kafka", map[string]any{"password": "s3cret"})
	path := filepath.Join(t.TempDir(), "jwt")
	write(t, path, "the.service.account")
	t.Setenv(vaultJWT, path)
	t.Setenv(vaultRole, "events")
	s := open(t, "vault://secret/kafka#password")
	wantSecret(t, s, "s3cret")
	wantSecret(t, s, "s3cret")
	if v.logins != 2 {
		t.Errorf("%d logins for two fetches", v.logins)
	}
	t.Setenv(vaultRole, "other")
	wantError(t, s, domain.ErrUnavailable, []string{"log in", "403"}, "the.service.account")
	t.Setenv(vaultRole, "events")
	t.Setenv(vaultLogin, "nowhere")
	wantError(t, s, domain.ErrUnavailable, []string{"log in"})
}

// TestVaultMountWithASlash is written with %2F, as what follows the first slash is the path.
func TestVaultMountWithASlash(t *testing.T) {
	s, err := OpenVault("vault://team%2Fkv/prod%2Fx/kafka#password")
	if v, ok := s.(*vaultSecret); err != nil || !ok || v.mount != "team/kv" || v.path != "prod/x/kafka" || v.field != "password" {
		t.Errorf("%+v, %v", s, err)
	}
}
