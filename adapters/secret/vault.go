package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Environment variables beside those that Vault's own tools know, such as VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT.
const (
	// vaultTokenFile names a file with the token, which an agent may renew.
	vaultTokenFile = "VAULT_TOKEN_FILE"
	// vaultRole names the role to log in as with the token of a Kubernetes service account, vaultLogin the path of that
	// method if it is not the usual one, vaultJWT the file of that token if it is not the usual one.
	vaultRole  = "VAULT_KUBERNETES_ROLE"
	vaultLogin = "VAULT_KUBERNETES_PATH"
	vaultJWT   = "VAULT_KUBERNETES_TOKEN_FILE"
)

const (
	defaultVaultLogin = "kubernetes"
	defaultVaultJWT   = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

// vaultSecret is a field of a secret in the key-value engine, version 2, of HashiCorp Vault.
type vaultSecret struct {
	mount, path, field string
	// client is nil before it is first used.
	client *api.Client
}

// OpenVault is the [Open] of vault://MOUNT/PATH#FIELD. Where Vault is, and who asks, is in the environment, as for Vault's own
// tools; the token may also be in the file VAULT_TOKEN_FILE, or come from a login as VAULT_KUBERNETES_ROLE.
func OpenVault(reference string) (Source, error) {
	// A mount is no host, in which a URL may not have an escaped slash: it is read as the first part of a path.
	rest, whole := strings.CutPrefix(after(reference), "//")
	u, err := url.Parse("vault:///" + rest)
	if err != nil || !whole || u.RawQuery != "" || u.Fragment == "" {
		return nil, malformed("vault", "vault://MOUNT/PATH#FIELD")
	}
	escaped, _, _ := strings.Cut(u.EscapedPath()[1:], "/")
	mount, err := url.PathUnescape(escaped)
	path := strings.Trim(strings.TrimPrefix(u.Path, "/"+mount), "/")
	if err != nil || mount == "" || path == "" || strings.ContainsAny(mount, "@:") {
		return nil, malformed("vault", "vault://MOUNT/PATH#FIELD")
	}
	return &vaultSecret{mount: mount, path: path, field: u.Fragment}, nil
}

// Fetch implements [Source].
func (s *vaultSecret) Fetch(ctx context.Context) (string, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	got, err := client.KVv2(s.mount).Get(ctx, s.path)
	if err != nil {
		return "", vaultError(err)
	}
	switch found := got.Data[s.field].(type) {
	case string:
		return found, nil
	case json.Number:
		return found.String(), nil
	}
	return "", fmt.Errorf("%w: the secret in Vault has no such field, or one that is no text", domain.ErrNotFound)
}

// connect returns the client with a token that is current. Its requests are tried three times.
func (s *vaultSecret) connect(ctx context.Context) (*api.Client, error) {
	if s.client == nil {
		client, err := api.NewClient(nil)
		if err != nil {
			return nil, fmt.Errorf("%w: prepare the client of Vault: %w", domain.ErrUnavailable, err)
		}
		s.client = client
	}
	switch {
	case os.Getenv(vaultTokenFile) != "":
		token, err := (&file{path: os.Getenv(vaultTokenFile)}).Fetch(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", vaultTokenFile, err)
		}
		s.client.SetToken(token)
	case os.Getenv(vaultRole) != "":
		return s.client, s.login(ctx, os.Getenv(vaultRole))
	}
	return s.client, nil
}

// login is repeated for each fetch, so that the token that it gives needs no renewal.
func (s *vaultSecret) login(ctx context.Context, role string) error {
	jwt, err := (&file{path: variableOr(vaultJWT, defaultVaultJWT)}).Fetch(ctx)
	if err != nil {
		return fmt.Errorf("the service account's token: %w", err)
	}
	s.client.ClearToken()
	path := "auth/" + strings.Trim(variableOr(vaultLogin, defaultVaultLogin), "/") + "/login"
	got, err := s.client.Logical().WriteWithContext(ctx, path, map[string]any{"role": role, "jwt": jwt})
	if err != nil {
		return fmt.Errorf("log in: %w", vaultError(err))
	}
	if got == nil || got.Auth == nil || got.Auth.ClientToken == "" {
		return fmt.Errorf("%w: log in: Vault gives no token", domain.ErrUnavailable)
	}
	s.client.SetToken(got.Auth.ClientToken)
	return nil
}

func variableOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// vaultError keeps what Vault says, without the request.
func vaultError(err error) error {
	if errors.Is(err, api.ErrSecretNotFound) {
		return fmt.Errorf("%w: Vault has no such secret", domain.ErrNotFound)
	}
	var said *api.ResponseError
	if !errors.As(err, &said) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	if said.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: Vault has no such secret", domain.ErrNotFound)
	}
	return fmt.Errorf("%w: Vault says %d %s", domain.ErrUnavailable, said.StatusCode, strings.Join(said.Errors, "; "))
}
