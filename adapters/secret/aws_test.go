package secret

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/netstreamflow/netstreamflow/adapters/broker/brokertest"
	"github.com/netstreamflow/netstreamflow/domain"
)

// awsAt sets the environment for the endpoint, as a user of AWS would have it.
func awsAt(t *testing.T, endpoint string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "key-id", "AWS_SECRET_ACCESS_KEY": "access-s3cret",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
}

// moto returns a client of the server that the environment names, for making secrets.
func moto(t *testing.T) *secretsmanager.Client {
	t.Helper()
	awsAt(t, brokertest.FromEnvironment(t, "NSF_TEST_AWS"))
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return secretsmanager.NewFromConfig(cfg)
}

func TestAWS(t *testing.T) {
	client := moto(t)
	name := fmt.Sprintf("prod/kafka+%d", time.Now().UnixNano())
	made, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: new("first")})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, "awssm://"+name)
	wantSecret(t, s, "first")
	wantSecret(t, open(t, "awssm://"+*made.ARN), "first")
	if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: new(`{"user":"u","password":"second","port":9092}`)}); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, s, `{"user":"u","password":"second","port":9092}`)
	wantSecret(t, open(t, "awssm://"+name+"?key=password"), "second")
	wantSecret(t, open(t, "awssm://"+name+"?key=port"), "9092")
	wantSecret(t, open(t, "awssm://"+name+"?version=AWSPREVIOUS"), "first")
	wantSecret(t, open(t, "awssm://"+name+"?version="+*made.VersionId), "first")
	wantError(t, open(t, "awssm://"+name+"?key=none"), domain.ErrNotFound, []string{"no key"}, "second")
	wantError(t, open(t, "awssm://"+name+"?version=AWSPREVIOUS&key=password"), domain.ErrNotFound, []string{"no JSON object"}, "first")
	wantError(t, open(t, "awssm://"+name+"?version=NOSUCHLABEL"), domain.ErrNotFound, nil)
	wantError(t, open(t, "awssm://"+name+"?region=eu-central-1"), domain.ErrNotFound, []string{"no such secret"})
	wantError(t, open(t, "awssm://"+name+"x"), domain.ErrNotFound, []string{"no such secret"})
	if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretBinary: []byte("bin\x00ary")}); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, s, "bin\x00ary")
}

func TestAWSAway(t *testing.T) {
	awsAt(t, "http://127.0.0.1:1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	wantError(t, open(t, "awssm://kafka"), domain.ErrUnavailable, []string{"refused"}, "access-s3cret", "key-id")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, "awssm://kafka").Fetch(ctx); err == nil {
		t.Error("a cancelled context is no error")
	}
}

func TestAWSWithoutRegion(t *testing.T) {
	awsAt(t, "http://127.0.0.1:1")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	wantError(t, open(t, "awssm://kafka"), domain.ErrUnavailable, []string{"region"})
}
