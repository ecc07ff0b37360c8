package netstreamflow_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	dto "github.com/prometheus/client_model/go"

	"github.com/netstreamflow/netstreamflow"
)

// keySet is a JWK set of one key.
func keySet(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	j, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{j.Marshal()}})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// guarded starts a service with a certificate, API keys in a file, and keys of tokens from where change says.
func guarded(t *testing.T, change func(*netstreamflow.Config)) (o *observed, apiKeys string, certificateExpiry time.Time) {
	t.Helper()
	_, entry, err := netstreamflow.NewAPIKey(netstreamflow.APIKey{Name: "caller", Scopes: []string{"events:read"}})
	if err != nil {
		t.Fatal(err)
	}
	apiKeys = file(t, entry)
	certFile, keyFile, certificate := signed(t, t.TempDir(), "certificate")
	o = observe(t, func(cfg *netstreamflow.Config) {
		cfg.Broker, cfg.Store, cfg.Auth, cfg.APIKeys, cfg.JWTAudience = "memory:", "memory:", "jwt,api-key", apiKeys, "netstreamflow"
		cfg.ListenTLS, cfg.TLSCert, cfg.TLSKey = "127.0.0.1:0", certFile, keyFile
		change(cfg)
	})
	return o, apiKeys, certificate.NotAfter
}

// withIssuer starts one whose keys of tokens come from the network.
func withIssuer(t *testing.T) *observed {
	t.Helper()
	keys := keySet(t)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) }))
	t.Cleanup(issuer.Close)
	o, _, _ := guarded(t, func(cfg *netstreamflow.Config) { cfg.JWTJWKSURL = issuer.URL })
	return o
}

// awaitAge scrapes until the keys of tokens are there.
func (o *observed) awaitAge() map[string]*dto.MetricFamily {
	o.Helper()
	var families map[string]*dto.MetricFamily
	until(o.T, "the keys have an age", func() bool {
		families = o.scrape()
		return families["netstreamflow_auth_keys_age_seconds"] != nil
	})
	return families
}

// TestMetricsOfCredentials has files of keys become unreadable, and looks when the certificate ends.
func TestMetricsOfCredentials(t *testing.T) {
	jwtKeys := file(t, string(keySet(t)))
	o, apiKeys, expiry := guarded(t, func(cfg *netstreamflow.Config) { cfg.JWTKeyFile = jwtKeys })
	families := o.scrape()
	if at := values(families["netstreamflow_tls_certificate_expiry_timestamp_seconds"])[""]; at != float64(expiry.Unix()) {
		t.Errorf("the certificate ends at %v, want %v", at, expiry)
	}
	if families["netstreamflow_auth_keys_age_seconds"] != nil {
		t.Error("keys of a file have an age")
	}
	const failed = "netstreamflow_auth_reload_failed"
	o.awaitScrape(failed, "file=api_keys", 0)
	o.awaitScrape(failed, "file=jwt_keys", 0)
	good, err := os.ReadFile(apiKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{apiKeys, jwtKeys} {
		if err := os.WriteFile(path, []byte("nothing of use"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.awaitScrape(failed, "file=api_keys", 1)
	o.awaitScrape(failed, "file=jwt_keys", 1)
	if err := os.WriteFile(apiKeys, good, 0o600); err != nil {
		t.Fatal(err)
	}
	o.awaitScrape(failed, "file=api_keys", 0)
	if age := values(withIssuer(t).awaitAge()["netstreamflow_auth_keys_age_seconds"])[""]; age < 0 || age > 60 {
		t.Errorf("the keys are %v seconds old", age)
	}
}
