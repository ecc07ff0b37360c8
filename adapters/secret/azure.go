package secret

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/netstreamflow/netstreamflow/domain"
)

// azureDomain is that of the vaults of Azure's public cloud.
const azureDomain = ".vault.azure.net"

// azureSecret is a secret in Azure Key Vault.
type azureSecret struct {
	vault, name, version string
	// credential is nil for the one that Azure's own tools find.
	credential azcore.TokenCredential
	options    azcore.ClientOptions
	// client is nil before it is first used.
	client *azsecrets.Client
}

var (
	azureVault = regexp.MustCompile(`^[0-9A-Za-z-]+(\.[0-9A-Za-z.-]+)?$`)
	azureName  = regexp.MustCompile(`^[0-9A-Za-z-]+$`)
)

// OpenAzure is the [Open] of azkv://VAULT/NAME: a secret of Azure Key Vault, of which VAULT is the name, or the host where it
// is not in the public cloud. The parameter version names one that is not the newest. Who asks is found as Azure's own tools
// do: a service principal in the environment, a workload's identity, a managed identity, or who is logged in.
func OpenAzure(reference string) (Source, error) {
	s, err := newAzureSecret(reference)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newAzureSecret(reference string) (*azureSecret, error) {
	rest, ok := strings.CutPrefix(after(reference), "//")
	path, query, _ := strings.Cut(rest, "?")
	vault, name, _ := strings.Cut(path, "/")
	parameters, err := onlyParameters(query, "version")
	if !ok || err != nil || !azureVault.MatchString(vault) || !azureName.MatchString(name) {
		return nil, malformed("azkv", "azkv://VAULT/NAME, with the parameter version where it is wanted")
	}
	if !strings.Contains(vault, ".") {
		vault += azureDomain
	}
	return &azureSecret{vault: vault, name: name, version: parameters.Get("version")}, nil
}

// Fetch implements [Source].
func (s *azureSecret) Fetch(ctx context.Context) (string, error) {
	client, err := s.connect()
	if err != nil {
		return "", fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	got, err := client.GetSecret(ctx, s.name, s.version, nil)
	if err != nil {
		return "", azureError(err)
	}
	if got.Value == nil {
		return "", fmt.Errorf("%w: Azure Key Vault answers without a value", domain.ErrNotFound)
	}
	return *got.Value, nil
}

// connect prepares the client when the secret is first fetched. Its requests are tried four times.
func (s *azureSecret) connect() (*azsecrets.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	credential := s.credential
	if credential == nil {
		found, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: s.options})
		if err != nil {
			return nil, err
		}
		credential = found
	}
	address := url.URL{Scheme: "https", Host: s.vault}
	client, err := azsecrets.NewClient(address.String(), credential, &azsecrets.ClientOptions{ClientOptions: s.options})
	if err != nil {
		return nil, err
	}
	s.client = client
	return client, nil
}

// azureError keeps what the service says, without the requests and bodies that the SDK adds.
func azureError(err error) error {
	var said *azcore.ResponseError
	if !errors.As(err, &said) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	if said.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: Azure Key Vault has no such secret or version", domain.ErrNotFound)
	}
	return fmt.Errorf("%w: Azure Key Vault says %d %s", domain.ErrUnavailable, said.StatusCode, said.ErrorCode)
}
