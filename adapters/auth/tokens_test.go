package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/domain"
)

// everyKey has a key for each algorithm, by the algorithm's name; that of RSA by "RS256".
func everyKey() map[string]crypto.PublicKey {
	keys := map[string]crypto.PublicKey{"RS256": rsaKey().Public(), "EdDSA": edKey().Public()}
	for name, k := range ecKeys() {
		keys[name] = k.Public()
	}
	return keys
}

func tokensOf(t testing.TB, content []byte) *Tokens {
	t.Helper()
	tokens, err := NewTokens(TokenOptions{
		Issuer: issuer, Audience: audience, KeyFile: write(t, "keys", content), Leeway: time.Minute, Logger: new(logs).logger(),
	})
	require.NoError(t, err)
	t.Cleanup(tokens.Close)
	return tokens
}

func TestEveryAlgorithm(t *testing.T) {
	tokens := tokensOf(t, jwksOf(t, everyKey()))
	for _, algorithm := range asymmetric() {
		id := algorithm
		if strings.HasSuffix(algorithm[:2], "S") && (algorithm[0] == 'R' || algorithm[0] == 'P') {
			id = "RS256"
		}
		for _, header := range []map[string]any{{"kid": id}, {}} {
			caller, err := tokens.Caller(t.Context(), sign(t, algorithm, keyFor(algorithm), good(), header))
			require.NoError(t, err, algorithm)
			assert.Equal(t, "user-1", caller.ID)
			assert.Equal(t, "user-1", caller.User)
			assert.Equal(t, []string{"events:read", "events:write"}, caller.Scopes)
		}
	}
}

func TestKeysInPEM(t *testing.T) {
	file := append(pemOf(t, rsaKey().Public()), pemOf(t, edKey().Public())...)
	file = append(file, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)})...)
	tokens := tokensOf(t, file)
	for _, algorithm := range []string{"RS256", "PS512", "EdDSA"} {
		_, err := tokens.Caller(t.Context(), sign(t, algorithm, keyFor(algorithm), good(), map[string]any{"kid": "any"}))
		require.NoError(t, err)
	}
	_, err := tokens.Caller(t.Context(), sign(t, "ES256", keyFor("ES256"), good(), nil))
	require.ErrorIs(t, err, domain.ErrBadCredentials)
}

func TestScopesInEveryForm(t *testing.T) {
	tokens := tokensOf(t, pemOf(t, edKey().Public()))
	for name, c := range map[string]struct {
		change []func(jwt.MapClaims)
		want   []string
	}{
		"text":          {[]func(jwt.MapClaims){set("scope", "openid  events:read")}, []string{"openid", "events:read"}},
		"a list":        {[]func(jwt.MapClaims){set("scope", []string{"a", "b"})}, []string{"a", "b"}},
		"scp as a list": {[]func(jwt.MapClaims){set("scope", nil), set("scp", []string{"admin"})}, []string{"admin"}},
		"scp as text":   {[]func(jwt.MapClaims){set("scope", nil), set("scp", "admin x")}, []string{"admin", "x"}},
		"both":          {[]func(jwt.MapClaims){set("scope", "a"), set("scp", "b")}, []string{"a", "b"}},
		"none":          {[]func(jwt.MapClaims){set("scope", nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := tokens.Caller(t.Context(), sign(t, "EdDSA", edKey(), good(c.change...), nil))
			require.NoError(t, err)
			assert.ElementsMatch(t, c.want, caller.Scopes)
		})
	}
}

// TestTokensThatAreRefused has one fault in each token; the reason names it and shows nothing of the token.
func TestTokensThatAreRefused(t *testing.T) {
	tokens := tokensOf(t, jwksOf(t, everyKey()))
	now := time.Now()
	ago, in := func(d time.Duration) int64 { return now.Add(-d).Unix() }, func(d time.Duration) int64 { return now.Add(d).Unix() }
	of := func(change ...func(jwt.MapClaims)) string {
		return sign(t, "ES256", keyFor("ES256"), good(change...), nil)
	}
	with := func(header map[string]any) string { return sign(t, "ES256", keyFor("ES256"), good(), header) }
	parts := strings.Split(of(), ".")
	forged, err := json.Marshal(good(set("sub", "root")))
	require.NoError(t, err)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, c := range map[string]struct{ token, want string }{
		"empty":                        {"", "malformed"},
		"no token":                     {"hello", "malformed"},
		"two parts":                    {parts[0] + "." + parts[1], "malformed"},
		"four parts":                   {strings.Join(parts, ".") + ".", "malformed"},
		"dots":                         {strings.Repeat(".", 10_000), "malformed"},
		"too long":                     {strings.Repeat("a", 17<<10), "too long"},
		"header that is no JSON":       {"eA." + parts[1] + "." + parts[2], "malformed"},
		"other claims":                 {parts[0] + "." + base64.RawURLEncoding.EncodeToString(forged) + "." + parts[2], "signature"},
		"no signature":                 {parts[0] + "." + parts[1] + ".", "signature"},
		"padding":                      {strings.Join(parts, ".") + "=", "malformed"},
		"stranger's key":               {sign(t, "RS256", stranger, good(), nil), "signature"},
		"another key's id":             {with(map[string]any{"kid": "ES384"}), "no key has the id"},
		"unknown key":                  {with(map[string]any{"kid": "x"}), "no key has the id"},
		"a path as key id":             {with(map[string]any{"kid": "../../dev/null"}), "no key has the id"},
		"a number as key id":           {with(map[string]any{"kid": 1}), "no text"},
		"what must be understood":      {with(map[string]any{"crit": []string{"b64"}, "b64": false}), "extensions"},
		"expired":                      {of(set("exp", ago(2*time.Minute))), "expired"},
		"without expiry":               {of(set("exp", nil)), "lacks a claim"},
		"expiry that is no number":     {of(set("exp", "never")), "malformed"},
		"not valid yet":                {of(set("nbf", in(2*time.Minute))), "not valid yet"},
		"from the future":              {of(set("iat", in(2*time.Minute))), "issued in the future"},
		"another audience":             {of(set("aud", "other")), "audience"},
		"other audiences":              {of(set("aud", []string{"a", "b"})), "audience"},
		"without audience":             {of(set("aud", nil)), "lacks a claim"},
		"another issuer":               {of(set("iss", issuer+"/")), "issuer"},
		"without issuer":               {of(set("iss", nil)), "lacks a claim"},
		"without subject":              {of(set("sub", nil)), "subject"},
		"a line break in the subject":  {of(set("sub", "a\nb")), "subject"},
		"a subject that is too long":   {of(set("sub", strings.Repeat("a", 257))), "subject"},
		"a scope that is no text":      {of(set("scope", 7)), "malformed"},
		"a list of scopes with others": {of(set("scp", []any{1})), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tokens.Caller(t.Context(), c.token)
			require.ErrorIs(t, err, domain.ErrBadCredentials)
			require.ErrorContains(t, err, c.want)
			for part := range strings.SplitSeq(c.token, ".") {
				if len(part) > 8 {
					assert.NotContains(t, err.Error(), part)
				}
			}
		})
	}
}

// TestAlgorithmsThatAreRefused tries to have a public key taken for another kind of key.
func TestAlgorithmsThatAreRefused(t *testing.T) {
	public := pemOf(t, rsaKey().Public())
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	require.NoError(t, err)
	for name, content := range map[string][]byte{"PEM": public, "JWK set": jwksOf(t, everyKey())} {
		tokens := tokensOf(t, content)
		for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
			for _, secret := range [][]byte{public, der, x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey), {}, []byte(strings.TrimSpace(string(public)))} {
				for _, header := range []map[string]any{nil, {"kid": "RS256"}} {
					_, err := tokens.Caller(t.Context(), sign(t, algorithm, secret, good(), header))
					require.ErrorIs(t, err, domain.ErrBadCredentials, name)
				}
			}
		}
		for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
			head := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"` + none + `"}`))
			body, err := json.Marshal(good())
			require.NoError(t, err)
			_, err = tokens.Caller(t.Context(), head+"."+base64.RawURLEncoding.EncodeToString(body)+".")
			require.ErrorIs(t, err, domain.ErrBadCredentials, name)
		}
		_, err = tokens.Caller(t.Context(), sign(t, "none", jwt.UnsafeAllowNoneSignatureType, good(), nil))
		require.ErrorIs(t, err, domain.ErrBadCredentials, name)
	}
}

// TestAlgorithmOfTheKey holds a token to the algorithm that the JWK set gives for the key.
func TestAlgorithmOfTheKey(t *testing.T) {
	var all map[string][]map[string]any
	require.NoError(t, json.Unmarshal(jwksOf(t, map[string]crypto.PublicKey{"k": rsaKey().Public()}), &all))
	all["keys"][0]["alg"] = "PS256"
	content, err := json.Marshal(all)
	require.NoError(t, err)
	tokens := tokensOf(t, content)
	_, err = tokens.Caller(t.Context(), sign(t, "PS256", rsaKey(), good(), nil))
	require.NoError(t, err)
	_, err = tokens.Caller(t.Context(), sign(t, "RS256", rsaKey(), good(), nil))
	require.ErrorIs(t, err, domain.ErrBadCredentials)
}

func TestSecret(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	current := secret
	tokens, err := NewTokens(TokenOptions{Audience: audience, Secret: func() string { return current }, Logger: new(logs).logger()})
	require.NoError(t, err)
	defer tokens.Close()
	caller, err := tokens.Caller(t.Context(), sign(t, "HS256", []byte(secret), good(set("iss", nil)), nil))
	require.NoError(t, err)
	assert.Equal(t, "user-1", caller.ID)
	for _, token := range []string{
		sign(t, "HS512", []byte(secret), good(), nil), sign(t, "HS256", []byte(secret+"x"), good(), nil),
		sign(t, "RS256", rsaKey(), good(), nil), sign(t, "none", jwt.UnsafeAllowNoneSignatureType, good(), nil),
	} {
		_, err := tokens.Caller(t.Context(), token)
		require.ErrorIs(t, err, domain.ErrBadCredentials)
	}

	current = secret[1:]
	_, err = tokens.Caller(t.Context(), sign(t, "HS256", []byte(current), good(set("sub", "user-2")), nil))
	require.ErrorIs(t, err, domain.ErrUnavailable, "a secret that is too short")
	current = "another-" + secret
	caller, err = tokens.Caller(t.Context(), sign(t, "HS256", []byte(current), good(set("sub", "user-2")), nil))
	require.NoError(t, err)
	assert.Equal(t, "user-2", caller.ID)
	_, err = tokens.Caller(t.Context(), sign(t, "HS256", []byte(secret), good(set("sub", "user-3")), nil))
	require.ErrorIs(t, err, domain.ErrBadCredentials, "the secret from before")
}

func TestLeeway(t *testing.T) {
	tokens := tokensOf(t, pemOf(t, edKey().Public()))
	now := time.Now()
	for _, change := range []func(jwt.MapClaims){
		set("exp", now.Add(-30*time.Second).Unix()), set("nbf", now.Add(30*time.Second).Unix()), set("iat", now.Add(30*time.Second).Unix()),
	} {
		_, err := tokens.Caller(t.Context(), sign(t, "EdDSA", edKey(), good(change), nil))
		require.NoError(t, err)
	}
}

// TestRememberedTokenExpires: that a token has been verified does not let it outlive itself.
func TestRememberedTokenExpires(t *testing.T) {
	tokens, err := NewTokens(TokenOptions{Audience: audience, KeyFile: write(t, "k", pemOf(t, edKey().Public())), Logger: new(logs).logger()})
	require.NoError(t, err)
	token := sign(t, "EdDSA", edKey(), good(set("exp", time.Now().Add(2*time.Second).Unix())), nil)
	_, err = tokens.Caller(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, 1, tokens.known.Len())
	eventually(t, "the token is refused", func() bool {
		_, err := tokens.Caller(t.Context(), token)
		return err != nil
	})
}

// TestKnownTokens are those that have been verified, until they expire.
func TestKnownTokens(t *testing.T) {
	tokens := tokensOf(t, pemOf(t, edKey().Public()))
	token := sign(t, "EdDSA", edKey(), good(), nil)
	_, ok := tokens.Known(token)
	assert.False(t, ok, "it may be made up")
	want, err := tokens.Caller(t.Context(), token)
	require.NoError(t, err)
	got, ok := tokens.Known(token)
	assert.True(t, ok)
	assert.Equal(t, want, got)
	assert.Equal(t, "jwt", got.Means)
	for _, other := range []string{"", token + "x", strings.Repeat("x", maxTokenBytes+1)} {
		_, ok = tokens.Known(other)
		assert.False(t, ok)
	}
	tokens.known.Add(sha256.Sum256([]byte(token)), verified{caller: want, until: time.Now()})
	_, ok = tokens.Known(token)
	assert.False(t, ok, "its time is over")
}

func TestRememberedTokensAreBounded(t *testing.T) {
	tokens := tokensOf(t, pemOf(t, edKey().Public()))
	_, err := tokens.Caller(t.Context(), sign(t, "EdDSA", edKey(), good(), nil))
	require.NoError(t, err)
	for _, v := range tokens.known.Values() {
		assert.LessOrEqual(t, time.Until(v.until), rememberFor)
	}
	for range remembered + 1 {
		var sum [32]byte
		_, _ = rand.Read(sum[:])
		tokens.known.Add(sum, verified{})
	}
	assert.Equal(t, remembered, tokens.known.Len())
}

func TestKeyFileIsReadAgain(t *testing.T) {
	file := write(t, "keys.pem", pemOf(t, edKey().Public()))
	log := new(logs)
	tokens, err := NewTokens(TokenOptions{Audience: audience, KeyFile: file, Logger: log.logger()})
	require.NoError(t, err)
	tokens.keys.(fileKeys).every = 0
	_, err = tokens.Caller(t.Context(), sign(t, "EdDSA", edKey(), good(), nil))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, pemOf(t, rsaKey().Public()), 0o600))
	_, err = tokens.Caller(t.Context(), sign(t, "RS256", rsaKey(), good(), nil))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("broken"), 0o600))
	_, err = tokens.Caller(t.Context(), sign(t, "RS512", rsaKey(), good(), nil))
	require.NoError(t, err, "the last good keys stay")
	assert.Contains(t, log.String(), "cannot be read again")
}

// TestBrokenKeyFileIsNoticed while all that comes is tokens that are known, or nothing but health checks.
func TestBrokenKeyFileIsNoticed(t *testing.T) {
	for name, look := range map[string]func(*Tokens, string){
		"by a known token": func(tokens *Tokens, token string) {
			_, ok := tokens.Known(token)
			assert.True(t, ok)
		},
		"by a health check": func(tokens *Tokens, _ string) { _ = tokens.Status() },
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, "keys.pem", pemOf(t, edKey().Public()))
			log := new(logs)
			tokens, err := NewTokens(TokenOptions{Audience: audience, KeyFile: file, Logger: log.logger()})
			require.NoError(t, err)
			token := sign(t, "EdDSA", edKey(), good(), nil)
			_, err = tokens.Caller(t.Context(), token)
			require.NoError(t, err)
			assert.Equal(t, KeyStatus{Keys: 1}, tokens.Status())
			tokens.keys.(fileKeys).every = 0
			require.NoError(t, os.WriteFile(file, []byte("broken"), 0o600))
			look(tokens, token)
			assert.Contains(t, log.String(), "cannot be read again")
			status := tokens.Status()
			require.Error(t, status.Err)
			assert.Equal(t, 1, status.Keys)
			require.NoError(t, os.WriteFile(file, pemOf(t, edKey().Public()), 0o600))
			assert.Equal(t, KeyStatus{Keys: 1}, tokens.Status())
		})
	}
}

// TestStatusOfASecret: there is one, and why it is not the newest is told.
func TestStatusOfASecret(t *testing.T) {
	secret, fault := strings.Repeat("s", MinSecretBytes), error(nil)
	tokens, err := NewTokens(TokenOptions{
		Audience: audience, Secret: func() string { return secret }, SecretFault: func() error { return fault }, Logger: new(logs).logger(),
	})
	require.NoError(t, err)
	assert.Equal(t, KeyStatus{Keys: 1}, tokens.Status())
	fault = errShortSecret
	assert.Equal(t, KeyStatus{Keys: 1, Err: fault}, tokens.Status())
	secret = "short"
	assert.Zero(t, tokens.Status().Keys)
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(edKey())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":             {nil, "no key"},
		"text":              {[]byte("hello"), "no key"},
		"an empty set":      {[]byte(`{"keys":[]}`), "no key"},
		"another object":    {[]byte(`{"a":1}`), "no key"},
		"broken JSON":       {[]byte(`{"keys":[`), "JWK set"},
		"a secret key":      {[]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}`), "no key"},
		"for encryption":    {[]byte(strings.ReplaceAll(string(jwksOf(t, everyKey())), `"sig"`, `"enc"`)), "no key"},
		"a short RSA key":   {pemOf(t, small.Public()), "1024 bits"},
		"a short RSA JWK":   {jwksOf(t, map[string]crypto.PublicKey{"k": small.Public()}), "1024 bits"},
		"a private key":     {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "private key"},
		"a broken PEM":      {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "asn1"},
		"more than allowed": {jwksOf(t, many(t, maxKeys+1)), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewTokens(TokenOptions{Audience: audience, KeyFile: write(t, "k", c.content), Logger: new(logs).logger()})
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "c2VjcmV0")
		})
	}
	_, err = NewTokens(TokenOptions{Audience: audience, KeyFile: "/no/such/file", Logger: new(logs).logger()})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func many(t *testing.T, n int) map[string]crypto.PublicKey {
	t.Helper()
	keys := map[string]crypto.PublicKey{}
	for i := range n {
		keys[strings.Repeat("k", i+1)] = edKey().Public()
	}
	return keys
}

func BenchmarkVerify(b *testing.B) {
	tokens := tokensOf(b, jwksOf(b, everyKey()))
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		token := sign(b, algorithm, keyFor(algorithm), good(), nil)
		b.Run(algorithm, func(b *testing.B) {
			for b.Loop() {
				tokens.known.Purge()
				if _, err := tokens.Caller(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+" remembered", func(b *testing.B) {
			for b.Loop() {
				if _, err := tokens.Caller(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
