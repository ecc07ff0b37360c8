package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/netstreamflow/netstreamflow/domain"
)

const awsForm = "awssm://NAME, with the parameters region, key and version where they are wanted"

// awsSecret is a secret in AWS Secrets Manager.
type awsSecret struct {
	input  secretsmanager.GetSecretValueInput
	region string
	// key names a member of the secret, which then is a JSON object; "" for the secret as a whole.
	key string
	// client is nil before it is first used.
	client *secretsmanager.Client
}

// awsVersionID tells the id of a version from its staging label.
var awsVersionID = regexp.MustCompile(`^[0-9A-Za-z]{8}-([0-9A-Za-z]{4}-){3}[0-9A-Za-z]{12}$`)

// OpenAWS is the [Open] of awssm://NAME: a secret of AWS Secrets Manager by its name or ARN. The parameter region is the one
// to ask, key a member of a secret that is a JSON object, version a staging label or a version's id. Who asks, and where,
// is found as AWS's own tools do: in the environment, the shared files, or the machine's role.
func OpenAWS(reference string) (Source, error) {
	name, parameters, ok := awsReference(reference)
	if !ok {
		return nil, malformed("awssm", awsForm)
	}
	s := &awsSecret{region: parameters.Get("region"), key: parameters.Get("key")}
	s.input.SecretId = &name
	if v := parameters.Get("version"); awsVersionID.MatchString(v) {
		s.input.VersionId = &v
	} else if v != "" {
		s.input.VersionStage = &v
	}
	return s, nil
}

// awsReference does not take it for a URL: an ARN has colons, and a name may have a plus.
func awsReference(reference string) (name string, parameters url.Values, ok bool) {
	rest, ok := strings.CutPrefix(after(reference), "//")
	name, query, _ := strings.Cut(rest, "?")
	parameters, err := onlyParameters(query, "region", "key", "version")
	return name, parameters, ok && name != "" && err == nil
}

// Fetch implements [Source].
func (s *awsSecret) Fetch(ctx context.Context) (string, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	got, err := client.GetSecretValue(ctx, &s.input)
	if err != nil {
		return "", awsError(err)
	}
	found := string(got.SecretBinary)
	if got.SecretString != nil {
		found = *got.SecretString
	}
	if s.key == "" {
		return found, nil
	}
	return member(found, s.key)
}

// connect reads AWS's own settings when the secret is first fetched. Its requests are tried three times.
func (s *awsSecret) connect(ctx context.Context) (*secretsmanager.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	// The SDK's own log goes to standard error, past the service's.
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if s.region != "" {
		options = append(options, config.WithRegion(s.region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errors.New("no region is known: name one with ?region=, or in AWS_REGION")
	}
	s.client = secretsmanager.NewFromConfig(cfg)
	return s.client, nil
}

// awsError keeps what the service says, without the trail of the SDK.
func awsError(err error) error {
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return fmt.Errorf("%w: AWS Secrets Manager has no such secret or version", domain.ErrNotFound)
	}
	var said smithy.APIError
	if errors.As(err, &said) {
		return fmt.Errorf("%w: AWS Secrets Manager says %s: %s", domain.ErrUnavailable, said.ErrorCode(), said.ErrorMessage())
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}

// member returns the member of a JSON object; one that is no text is returned as its JSON.
func member(object, key string) (string, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(object), &members) != nil {
		return "", fmt.Errorf("%w: the secret is no JSON object, so that it has no key", domain.ErrNotFound)
	}
	raw, found := members[key]
	if !found {
		return "", fmt.Errorf("%w: the secret has no key of that name", domain.ErrNotFound)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	return text, nil
}
