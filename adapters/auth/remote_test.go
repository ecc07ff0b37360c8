package auth

import (
	"context"
	"crypto"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/domain"
)

// provider is an issuer of tokens with OpenID Connect Discovery.
type provider struct {
	*httptest.Server

	asked atomic.Int64 // for the keys

	mu   sync.Mutex
	jwks func(w http.ResponseWriter)
	// named is the issuer that the document names, if not the server's own URL; at is the jwks_uri.
	named, at string
}

func newProvider(t *testing.T, keys map[string]crypto.PublicKey) *provider {
	t.Helper()
	p := &provider{}
	p.serve(jwksOf(t, keys))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		document := map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
		if p.named != "" {
			document["issuer"] = p.named
		}
		if p.at != "" {
			document["jwks_uri"] = p.at
		}
		_ = json.NewEncoder(w).Encode(document)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		answer := p.jwks
		p.mu.Unlock()
		answer(w)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) serve(content []byte) {
	p.answer(func(w http.ResponseWriter) { _, _ = w.Write(content) })
}

func (p *provider) answer(f func(http.ResponseWriter)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jwks = f
}

// quick has unknown ids fetch at once.
func quick(t *testing.T, issuer, jwks string, log *logs) *remoteKeys {
	t.Helper()
	r := unstartedKeys(issuer, jwks, log.logger())
	r.askEvery, r.retryFirst = 0, 5*time.Millisecond
	r.start()
	t.Cleanup(r.close)
	return r
}

func TestDiscovery(t *testing.T) {
	p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	tokens, err := NewTokens(TokenOptions{Issuer: p.URL, Audience: audience, Logger: new(logs).logger()})
	require.NoError(t, err)
	t.Cleanup(tokens.Close)
	caller, err := tokens.Caller(t.Context(), sign(t, "EdDSA", edKey(), good(set("iss", p.URL)), map[string]any{"kid": "k"}))
	require.NoError(t, err)
	assert.Equal(t, "user-1", caller.ID)
	status := tokens.Status()
	assert.Equal(t, 1, status.Keys)
	require.NoError(t, status.Err)
	assert.WithinDuration(t, time.Now(), status.Fetched, time.Minute)
}

// TestRotation has the issuer sign with a new key, which is taken at once, and take back the old one.
func TestRotation(t *testing.T) {
	p := newProvider(t, map[string]crypto.PublicKey{"old": edKey().Public()})
	r := quick(t, "", p.URL+"/keys", new(logs))
	keys, err := r.keysFor(t.Context(), "old")
	require.NoError(t, err)
	require.True(t, keys.has("old"))
	p.serve(jwksOf(t, map[string]crypto.PublicKey{"new": rsaKey().Public()}))
	keys, err = r.keysFor(t.Context(), "new")
	require.NoError(t, err)
	assert.True(t, keys.has("new"))
	assert.False(t, keys.has("old"), "the issuer has withdrawn it")
}

// TestUnknownKeysDoNotFlood asks for ids that nobody has: the issuer is asked once in a while, and known ids do not wait.
func TestUnknownKeysDoNotFlood(t *testing.T) {
	p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	r := newRemoteKeys("", p.URL+"/keys", new(logs).logger())
	t.Cleanup(r.close)
	_, err := r.keysFor(t.Context(), "k")
	require.NoError(t, err)
	for range 1000 {
		keys, err := r.keysFor(t.Context(), "unknown")
		require.NoError(t, err)
		require.False(t, keys.has("unknown"))
	}
	assert.LessOrEqual(t, p.asked.Load(), int64(2))
}

// TestManyAskAtOnce has many requests bring the same new id: one fetch serves them all.
func TestManyAskAtOnce(t *testing.T) {
	p := newProvider(t, map[string]crypto.PublicKey{"old": edKey().Public()})
	r := quick(t, "", p.URL+"/keys", new(logs))
	_, err := r.keysFor(t.Context(), "old")
	require.NoError(t, err)
	hold, arrived := make(chan struct{}), make(chan struct{}, 100)
	content := jwksOf(t, map[string]crypto.PublicKey{"new": edKey().Public()})
	p.answer(func(w http.ResponseWriter) {
		arrived <- struct{}{}
		<-hold
		_, _ = w.Write(content)
	})
	before := p.asked.Load()
	var waiting sync.WaitGroup
	for range 50 {
		waiting.Go(func() {
			keys, err := r.keysFor(t.Context(), "new")
			assert.NoError(t, err)
			assert.True(t, keys.has("new"))
		})
	}
	<-arrived
	close(hold)
	waiting.Wait()
	assert.LessOrEqual(t, p.asked.Load()-before, int64(2), "one for those that came before its end, one for any later")
}

// TestFewWait has far more tokens with ids that nobody has come than may wait while the issuer is slow: the others are told at once
// that it is not known yet, also while there are keys, and who has waited that there is no such key.
func TestFewWait(t *testing.T) {
	p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	r := quick(t, "", p.URL+"/keys", new(logs))
	_, err := r.keysFor(t.Context(), "k")
	require.NoError(t, err)
	hold := make(chan struct{})
	content := jwksOf(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	p.answer(func(w http.ResponseWriter) {
		<-hold
		_, _ = w.Write(content)
	})
	var running sync.WaitGroup
	var refused, told atomic.Int64
	for range 300 {
		running.Go(func() {
			if keys, err := r.keysFor(t.Context(), "unknown"); err != nil {
				assert.ErrorIs(t, err, domain.ErrUnavailable)
				refused.Add(1)
			} else {
				assert.False(t, keys.has("unknown"))
				told.Add(1)
			}
		})
	}
	eventually(t, "most are refused", func() bool { return refused.Load() == 300-maxWaiting })
	_, err = r.keysFor(t.Context(), "k")
	require.NoError(t, err, "who needs no other keys does not wait")
	close(hold)
	running.Wait()
	assert.Equal(t, int64(maxWaiting), told.Load())
	assert.Zero(t, r.waiting.Load())
}

// TestIssuerIsAway keeps the keys, says so, and goes on by itself.
func TestIssuerIsAway(t *testing.T) {
	log := new(logs)
	p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	r := quick(t, "", p.URL+"/keys", log)
	_, err := r.keysFor(t.Context(), "k")
	require.NoError(t, err)
	for name, answer := range map[string]func(http.ResponseWriter){
		"an error":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"no JSON":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"no keys":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"something":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{}`) },
		"a redirection": func(w http.ResponseWriter) { w.Header().Set("Location", "/other"); w.WriteHeader(http.StatusFound) },
		"far too much":  func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"keys":[`+strings.Repeat(" ", 2<<20)+`]}`) },
		"half of it": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"keys":[`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.answer(answer)
			keys, err := r.keysFor(t.Context(), "unknown") // has them be fetched
			require.NoError(t, err)
			assert.True(t, keys.has("k"))
			status := r.status()
			require.Error(t, status.Err)
			assert.Equal(t, 1, status.Keys)
		})
	}
	assert.Contains(t, log.String(), "cannot be fetched")
	p.serve(jwksOf(t, map[string]crypto.PublicKey{"k2": edKey().Public()}))
	eventually(t, "new keys", func() bool { s := r.status(); return s.Err == nil })
	keys, err := r.keysFor(t.Context(), "k2")
	require.NoError(t, err)
	assert.True(t, keys.has("k2"))
}

// TestStartWithoutIssuer: tokens cannot be verified until the keys are there, which takes no restart.
func TestStartWithoutIssuer(t *testing.T) {
	p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	away := atomic.Bool{}
	away.Store(true)
	content := jwksOf(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	p.answer(func(w http.ResponseWriter) {
		if away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(content)
	})
	tokens := &Tokens{remote: quick(t, "", p.URL+"/keys", new(logs))}
	whole, err := NewTokens(TokenOptions{Audience: audience, Secret: func() string { return strings.Repeat("s", 32) }, Logger: new(logs).logger()})
	require.NoError(t, err)
	tokens.keys, tokens.known, tokens.parser = tokens.remote, whole.known, newParser(TokenOptions{Audience: audience}, asymmetric())
	token := sign(t, "EdDSA", edKey(), good(), map[string]any{"kid": "k"})
	eventually(t, "an answer that there are no keys", func() bool {
		_, err := tokens.Caller(t.Context(), token)
		require.ErrorIs(t, err, domain.ErrUnavailable)
		return tokens.Status().Err != nil
	})
	assert.Zero(t, tokens.Status().Keys)
	away.Store(false)
	eventually(t, "the token is taken", func() bool {
		_, err := tokens.Caller(t.Context(), token)
		return err == nil
	})
}

// TestNobodyWaitsForASlowIssuer: the caller's own deadline ends the wait.
func TestNobodyWaitsForASlowIssuer(t *testing.T) {
	hold := make(chan struct{})
	p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
	p.answer(func(http.ResponseWriter) { <-hold })
	r := quick(t, "", p.URL+"/keys", new(logs))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.keysFor(ctx, "k")
	require.ErrorIs(t, err, domain.ErrUnavailable)
	close(hold)
}

func TestDiscoveryThatIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ named, at, want string }{
		"another issuer":       {"https://evil.example", "", "names the issuer"},
		"keys without TLS":     {"", "http://evil.example/keys", "https"},
		"keys in a file":       {"", "file:///etc/passwd", "https"},
		"keys with a user":     {"", "https://u:p@evil.example/keys", "https"},
		"keys that are no URL": {"", ":", "https"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, map[string]crypto.PublicKey{"k": edKey().Public()})
			p.named, p.at = c.named, c.at
			r := quick(t, p.URL, "", new(logs))
			eventually(t, "a failure", func() bool { return r.status().Err != nil })
			assert.ErrorContains(t, r.status().Err, c.want)
			assert.Zero(t, p.asked.Load())
		})
	}
}

// TestKeysThatAnIssuerNames holds an issuer to keys as well protected as it is itself, and off this machine unless it is there.
func TestKeysThatAnIssuerNames(t *testing.T) {
	const there, here, bare = "https://issuer.example", "https://LOCALHOST:8443", "http://127.0.0.1:80"
	for _, c := range []struct {
		issuer, jwks string
		ok           bool
	}{
		{there, "https://keys.example/keys", true}, {there, "https://192.0.2.1/keys", true},
		{there, "http://127.0.0.1:80/keys", false}, {"HTTPS://issuer.example", "http://127.0.0.1:80/keys", false},
		{there, "https://127.0.0.1/keys", false}, {there, "https://Localhost:1/keys", false}, {there, "https://[::1]/keys", false},
		{there, "https://0.0.0.0/keys", false}, {there, "https://[::]/keys", false}, {there, "https://[::ffff:127.0.0.1]/keys", false},
		{here, "https://127.0.0.1/keys", true}, {here, "http://127.0.0.1/keys", false}, {here, "https://keys.example/keys", true},
		{bare, "http://localhost/keys", true}, {bare, "https://127.0.0.1/keys", true}, {bare, "http://keys.example/keys", false},
	} {
		assert.Equal(t, c.ok, checkNamed(c.issuer, c.jwks) == nil, "%s names %s", c.issuer, c.jwks)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "192.0.2.1": false, "localhost.example": false, "127.0.0.1.example": false,
	} {
		assert.Equal(t, want, IsLoopback(host), host)
	}
}

func TestCheckURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://a.example": true, "https://a.example/x/y": true, "http://127.0.0.1:80/x": true, "http://localhost/x": true, "http://[::1]/x": true,
		"http://a.example": false, "http://127.0.0.1.evil.example": false, "ftp://a": false, "https://": false, "https:a": false,
		"https://u@a.example": false, "https://a.example?x=1": false, "https://a.example#x": false, "": false, "a": false,
	} {
		assert.Equal(t, ok, CheckURL(url) == nil, url)
	}
}
