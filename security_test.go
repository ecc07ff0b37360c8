package netstreamflow_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/netstreamflow/netstreamflow"
)

func TestSecuritySettingsThatDoNotFit(t *testing.T) {
	const jwtKeys = "--auth=jwt --jwt-audience=a --jwt-key-file=f"
	for args, want := range map[string]string{
		"--listen 0.0.0.0:0":                                  "--listen",
		"--listen :0":                                         "--listen",
		"--listen [::]:0":                                     "--listen",
		"--listen 192.0.2.1:0":                                "--listen",
		"--listen example.com:0":                              "--listen",
		"--listen 0.0.0.0:0 --insecure-no-auth":               "",
		"--listen 0.0.0.0:0 " + jwtKeys:                       "",
		"--listen localhost:0":                                "",
		"--listen LOCALHOST:0":                                "",
		"--admin-listen LocalHost:0":                          "",
		"--listen [::1]:0":                                    "",
		"--listen 127.1.2.3:0":                                "",
		"--tls-self-signed --listen-tls :0":                   "--listen-tls",
		"--tls-self-signed --listen-tls :0 --tls-client-ca f": "",
		"--tls-self-signed":                                   "",
		"--auth=jwt":                                          "--jwt-audience",
		"--auth=jwt --jwt-audience=a":                         "--jwt-issuer",
		"--auth=jwt --jwt-audience=a --jwt-issuer=name":       "--jwt-issuer",
		"--auth=jwt --jwt-audience=a --jwt-issuer=http://issuer.example":  "--jwt-issuer",
		"--auth=jwt --jwt-audience=a --jwt-issuer=https://issuer.example": "",
		jwtKeys + " --jwt-issuer=name":                                    "",
		jwtKeys + " --jwt-jwks-url=https://x":                             "--jwt-key-file",
		jwtKeys + " --jwt-secret=0123456789abcdef0123456789abcdef":        "--jwt-secret",
		"--jwt-issuer=https://x":                                          "--jwt-issuer",
		"--jwt-audience=x":                                                "--jwt-audience",
		"--jwt-key-file=x":                                                "--jwt-key-file",
		"--jwt-jwks-url=https://x":                                        "--jwt-jwks-url",
		"--jwt-secret=0123456789abcdef0123456789abcdef":                   "--jwt-secret",
		"--auth=api-key --jwt-audience=a --api-keys=f":                    "--jwt-audience",
		"--auth=api-key":                                                  "--api-keys",
		"--auth=jwt,api-key --jwt-audience=a --jwt-key-file=f":            "--api-keys",
		"--api-keys=f":                                                    "--api-keys",
		"--auth-own-user":                                                 "--auth-own-user",
		"--tls-cert=f":                                                    "--tls-key",
		"--tls-key=f":                                                     "--tls-cert",
		"--tls-cert=f --tls-key=f --tls-self-signed":                      "--tls-self-signed",
		"--listen-tls=127.0.0.1:0":                                        "--listen-tls",
		"--tls-client-ca=f":                                               "--tls-client-ca",
	} {
		t.Run(args, func(t *testing.T) {
			cfg, err := load(t, strings.Fields(args), nil)
			if err != nil {
				t.Fatal(err)
			}
			err = cfg.Validate()
			if want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var fault *netstreamflow.SettingError
			if !errors.As(err, &fault) || fault.Setting != want || strings.Contains(err.Error(), "0123456789abcdef") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want a fault of %s", err, want)
			}
		})
	}
}

func TestSecuritySettingsThatAreBad(t *testing.T) {
	for args, want := range map[string]string{
		"--auth=basic": "none or jwt or api-key or jwt,api-key", "--jwt-jwks-url=http://issuer.example/keys": "https", "--jwt-secret=short": "at least 32 bytes",
		"--jwt-leeway=1h": "10m0s", "--listen-tls=7000": "host:port", "--cors-origin=app.example.com": "scheme://host", "--cors-origin=https://a.example/": "scheme://host",
		"--cors-origin=https://*.example": "scheme://host", "--cors-origin=null": "scheme://host", "--cors-origin=*,https://a.example": "scheme://host",
		"--insecure-no-auth=x": "true or false",
	} {
		_, err := load(t, strings.Fields(args), nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "short") {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := load(t, []string{"--cors-origin=https://a.example,http://localhost:3000"}, nil); err != nil {
		t.Error(err)
	}
	const public = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----\n"
	if _, err := load(t, []string{"--jwt-secret=" + public}, nil); err == nil || !strings.Contains(err.Error(), "not a key in PEM") || strings.Contains(err.Error(), "MFkw") {
		t.Errorf("a public key as the secret: %v", err)
	}
}

// TestFilesOfSecurityThatAreBad starts the service with files that it cannot use: the error names the setting.
func TestFilesOfSecurityThatAreBad(t *testing.T) {
	bad := file(t, "nothing of use")
	for args, want := range map[string]string{
		"--auth=api-key --api-keys=" + bad: "--api-keys", "--auth=api-key --api-keys=/no/such": "--api-keys",
		"--auth=jwt --jwt-audience=a --jwt-key-file=" + bad: "--jwt-key-file", "--tls-cert=" + bad + " --tls-key=" + bad: "--tls-cert",
	} {
		cfg, err := load(t, strings.Fields(args+" --broker memory: --store memory: --listen 127.0.0.1:0"), nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg.LogOutput = t.Output()
		_, _, err = netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
		var fault *netstreamflow.SettingError
		if !errors.As(err, &fault) || fault.Setting != want || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// secureService is a service in this process, on memory alone.
type secureService struct {
	*netstreamflow.App

	t    *testing.T
	stop func() error
}

func startSecure(t *testing.T, args ...string) *secureService {
	t.Helper()
	cfg, err := load(t, append([]string{"--broker", "memory:", "--store", "memory:", "--listen", "127.0.0.1:0", "--admin-listen", ""}, args...), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.LogOutput = t.Output()
	app, cleanup, err := netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	var done atomic.Bool
	s := &secureService{App: app, t: t}
	s.stop = func() error {
		if done.Swap(true) {
			return nil
		}
		cancel()
		err := <-ended
		cleanup()
		return err
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	<-app.Listening()
	return s
}

// read is an answer that was read to its end.
type read struct {
	*http.Response

	body string
}

// do makes a request with a client.
func (s *secureService) do(c *http.Client, method, url, body string, headers ...string) read {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return read{w, string(text)}
}

func clientWith(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// until asks until the condition holds.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

const smallEvent = `{"userId":"u","eventType":"t"}`

// signed makes a certificate for 127.0.0.1 that signs itself, and returns the names of its file and that of its key.
func signed(t *testing.T, folder, name string) (certFile, keyFile string, certificate *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, certificate
}

func poolOf(certificates ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c)
	}
	return pool
}

// TestBothListeners speaks to one service with and without TLS, changes the certificate meanwhile, and ends it with an
// answer under way on each.
func TestBothListeners(t *testing.T) {
	folder := t.TempDir()
	certFile, keyFile, first := signed(t, folder, "first")
	s := startSecure(t, "--tls-cert", certFile, "--tls-key", keyFile, "--listen-tls", "127.0.0.1:0")
	plain, secure := "http://"+s.Addr().String(), "https://"+s.AddrTLS().String()
	c := clientWith(t, &tls.Config{RootCAs: poolOf(first)})
	w := s.do(c, http.MethodPost, secure+"/api/events", smallEvent)
	if w.StatusCode != http.StatusAccepted || w.ProtoMajor != 2 || w.TLS.Version != tls.VersionTLS13 {
		t.Errorf("%s with %s", w.Status, w.Proto)
	}
	if w.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS with TLS")
	}
	w = s.do(c, http.MethodGet, plain+"/api/events", "")
	if w.StatusCode != http.StatusOK || w.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%s %v", w.Status, w.Header)
	}
	// One that knows HTTP/1.1 only is served, too.
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: poolOf(first), MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	t.Cleanup(old.CloseIdleConnections)
	if w = s.do(&http.Client{Transport: old}, http.MethodGet, secure+"/api/events", ""); w.StatusCode != http.StatusOK || w.ProtoMajor != 1 {
		t.Errorf("%s with %s", w.Status, w.Proto)
	}
	_, _, second := signed(t, folder, "second")
	until(t, "the new certificate", func() bool {
		config := &tls.Config{RootCAs: poolOf(first, second)}
		conn, err := tls.Dial("tcp", s.AddrTLS().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName == "second"
	})
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, address := range []net.Addr{s.Addr(), s.AddrTLS()} {
		if conn, err := net.Dial("tcp", address.String()); err == nil {
			conn.Close()
			t.Errorf("%s still listens", address)
		}
	}
}

func TestSelfSignedService(t *testing.T) {
	s := startSecure(t, "--tls-self-signed", "--listen-tls", "127.0.0.1:0")
	c := clientWith(t, &tls.Config{InsecureSkipVerify: true})
	w := s.do(c, http.MethodPost, "https://"+s.AddrTLS().String()+"/api/events", smallEvent)
	if w.StatusCode != http.StatusAccepted || w.ProtoMajor != 2 || w.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%s %s %v", w.Proto, w.Status, w.Header)
	}
}

func TestServiceWithClientCertificates(t *testing.T) {
	certFile, keyFile, server := signed(t, t.TempDir(), "server")
	clientCert, clientKey, _ := signed(t, t.TempDir(), "client")
	s := startSecure(t, "--tls-cert", certFile, "--tls-key", keyFile, "--tls-client-ca", clientCert, "--listen-tls", "127.0.0.1:0")
	url := "https://" + s.AddrTLS().String() + "/health/live"
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	if w := s.do(clientWith(t, &tls.Config{RootCAs: poolOf(server), Certificates: []tls.Certificate{pair}}), http.MethodGet, url, ""); w.StatusCode != http.StatusOK {
		t.Error(w.Status)
	}
	if w, err := clientWith(t, &tls.Config{RootCAs: poolOf(server)}).Get(url); err == nil {
		w.Body.Close()
		t.Errorf("without a certificate: %s", w.Status)
	}
}

// TestIssuer has the service discover the keys of an issuer, live without it, and take its new key.
func TestIssuer(t *testing.T) {
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	var keys atomic.Pointer[map[string]*ecdsa.PrivateKey] // nil: away
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current := keys.Load()
		if current == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/.well-known/openid-configuration" {
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
			return
		}
		var all jwkset.JWKSMarshal
		for id, k := range *current {
			j, err := jwkset.NewJWKFromKey(k.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id}})
			if err != nil {
				t.Error(err)
			}
			all.Keys = append(all.Keys, j.Marshal())
		}
		_ = json.NewEncoder(w).Encode(all)
	}))
	defer issuer.Close()
	s := startSecure(t, "--auth", "jwt", "--jwt-issuer", issuer.URL, "--jwt-audience", "netstreamflow", "--auth-own-user")
	url := "http://" + s.Addr().String()
	c := clientWith(t, nil)
	token := func(id string, k *ecdsa.PrivateKey, user string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": issuer.URL, "aud": "netstreamflow", "sub": user, "scope": "events:write events:read", "exp": time.Now().Add(time.Hour).Unix(),
		})
		token.Header["kid"] = id
		text, err := token.SignedString(k)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	health := func() (status int, part string) {
		w := s.do(c, http.MethodGet, url+"/health/ready", "")
		var parts struct {
			Parts map[string]struct{ Status, Detail string }
		}
		if err := json.Unmarshal([]byte(w.body), &parts); err != nil {
			t.Fatal(err)
		}
		p := parts.Parts["auth keys"]
		return w.StatusCode, strings.TrimSpace(p.Status + " " + p.Detail)
	}
	first := key()
	if w := s.do(c, http.MethodPost, url+"/api/events", smallEvent, "Authorization", token("1", first, "u")); w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") == "" {
		t.Errorf("without keys: %s %s", w.Status, w.body)
	}
	if status, part := health(); status != http.StatusServiceUnavailable || part != "down have not been fetched" {
		t.Errorf("health: %d %s", status, part)
	}
	keys.Store(&map[string]*ecdsa.PrivateKey{"1": first})
	until(t, "the keys are there", func() bool {
		w := s.do(c, http.MethodPost, url+"/api/events", smallEvent, "Authorization", token("1", first, "u"))
		return w.StatusCode == http.StatusAccepted
	})
	until(t, "ready", func() bool {
		status, part := health()
		return status == http.StatusOK && part == "up"
	})
	if w := s.do(c, http.MethodPost, url+"/api/events", smallEvent, "Authorization", token("1", first, "other")); w.StatusCode != http.StatusForbidden {
		t.Errorf("for another user: %s %s", w.Status, w.body)
	}
	keys.Store(nil)
	if w := s.do(c, http.MethodGet, url+"/api/events", "", "Authorization", token("1", first, "u")); w.StatusCode != http.StatusOK {
		t.Errorf("while the issuer is away: %s %s", w.Status, w.body)
	}
}
