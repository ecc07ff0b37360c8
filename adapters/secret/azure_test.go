package secret

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/netstreamflow/netstreamflow/domain"
)

const azureTenant = "11111111-2222-3333-4444-555555555555"

// fakeKeyVault speaks as much of Key Vault's API as reading a secret takes: who brings no token for it gets the challenge that
// says where to get one.
type fakeKeyVault struct {
	mu         sync.Mutex
	challenges int
	// versions are those of each secret, the newest last.
	versions map[string][]string
	resource string
	address  string
	roots    *x509.CertPool
}

func newFakeKeyVault(t *testing.T) *fakeKeyVault {
	t.Helper()
	v := &fakeKeyVault{versions: map[string][]string{}, resource: "https://vault.azure.net", roots: x509.NewCertPool()}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /secrets/{name}/{version...}", v.read)
	server := httptest.NewTLSServer(routes)
	t.Cleanup(server.Close)
	v.address = server.Listener.Addr().String()
	v.roots.AddCert(server.Certificate())
	return v
}

func (v *fakeKeyVault) read(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Host != "my-vault.vault.azure.net" || r.URL.Query().Get("api-version") == "" {
		http.Error(w, "not for me", http.StatusBadRequest)
		return
	}
	switch r.Header.Get("Authorization") {
	case "Bearer the-token":
	case "Bearer a-token-without-rights":
		azureRefuse(w, http.StatusForbidden, "Forbidden", "The user, group or application does not have secrets get permission\non key vault 'my-vault'.")
		return
	default:
		v.challenges++
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="https://login.microsoftonline.com/%s", resource="%s"`, azureTenant, v.resource))
		azureRefuse(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
		return
	}
	name := r.PathValue("name")
	all := v.versions[name]
	n := len(all)
	if version := r.PathValue("version"); version != "" {
		if _, err := fmt.Sscanf(version, "v%d", &n); err != nil {
			n = 0
		}
	}
	if n < 1 || n > len(all) {
		azureRefuse(w, http.StatusNotFound, "SecretNotFound", "A secret with (name/id) "+name+" was not found in this key vault.")
		return
	}
	answer(w, map[string]any{
		"value": all[n-1], "id": fmt.Sprintf("https://my-vault.vault.azure.net/secrets/%s/v%d", name, n),
		"attributes": map[string]any{"enabled": true, "created": 1769860800, "updated": 1769860800, "recoveryLevel": "Recoverable"},
	})
}

func azureRefuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, code, message)
}

// credential stands for a principal of Azure.
type credential struct {
	token string
	err   error

	mu    sync.Mutex
	asked []policy.TokenRequestOptions
}

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, o)
	return azcore.AccessToken{Token: c.token, ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

// open opens a reference whose host is the fake.
func (v *fakeKeyVault) open(t *testing.T, reference string, c *credential) Source {
	t.Helper()
	s, err := newAzureSecret(reference)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, v.address)
		},
		TLSClientConfig: &tls.Config{RootCAs: v.roots, ServerName: "example.com"},
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.credential, s.options.Transport = c, &http.Client{Transport: transport}
	return s
}

func TestAzure(t *testing.T) {
	v := newFakeKeyVault(t)
	v.versions["kafka"] = []string{"first"}
	c := &credential{token: "the-token"}
	s := v.open(t, "azkv://my-vault/kafka", c)
	wantSecret(t, s, "first")
	v.mu.Lock()
	v.versions["kafka"] = []string{"first", "second"}
	v.mu.Unlock()
	wantSecret(t, s, "second")
	wantSecret(t, v.open(t, "azkv://my-vault.vault.azure.net/kafka?version=v1", c), "first")
	if v.challenges != 2 {
		t.Errorf("%d challenges for two clients", v.challenges)
	}
	for _, asked := range c.asked {
		if !slices.Equal(asked.Scopes, []string{"https://vault.azure.net/.default"}) || asked.TenantID != azureTenant {
			t.Errorf("asked for a token of %q in %q", asked.Scopes, asked.TenantID)
		}
	}
	wantError(t, v.open(t, "azkv://my-vault/none", c), domain.ErrNotFound, []string{"no such secret"})
	wantError(t, v.open(t, "azkv://my-vault/kafka?version=v9", c), domain.ErrNotFound, []string{"no such secret"})
}

func TestAzureRefuses(t *testing.T) {
	v := newFakeKeyVault(t)
	v.versions["kafka"] = []string{"s3cret"}
	wantError(t, v.open(t, "azkv://my-vault/kafka", &credential{token: "a-token-without-rights"}), domain.ErrUnavailable, []string{"403 Forbidden"}, "a-token-without-rights")
	wantError(t, v.open(t, "azkv://my-vault/kafka", &credential{token: "expired"}), domain.ErrUnavailable, []string{"401"}, "expired")
	none := &credential{err: errors.New("no principal:\n\tnot logged in")}
	wantError(t, v.open(t, "azkv://my-vault/kafka", none), domain.ErrUnavailable, []string{"not logged in"})
}

// TestAzureChallengeFromElsewhere has a server ask for a token that is not for it, which it must not get.
func TestAzureChallengeFromElsewhere(t *testing.T) {
	v := newFakeKeyVault(t)
	v.resource = "https://vault.evil.example"
	c := &credential{token: "the-token"}
	wantError(t, v.open(t, "azkv://my-vault/kafka", c), domain.ErrUnavailable, []string{"challenge resource"})
	if len(c.asked) > 0 {
		t.Error("a token was asked for")
	}
}

func TestAzureAway(t *testing.T) {
	v := newFakeKeyVault(t)
	v.address = "127.0.0.1:1"
	s := v.open(t, "azkv://my-vault/kafka", &credential{token: "the-token"})
	s.(*azureSecret).options.Retry.MaxRetries = -1
	wantError(t, s, domain.ErrUnavailable, []string{"refused"})
	if strings.Contains(s.(*azureSecret).vault, "127") {
		t.Error("the vault's name")
	}
}
