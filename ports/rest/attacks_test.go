package rest

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/application"
)

// fortress is the API as it stands in production: callers show tokens or keys, and are bound to their own user.
type fortress struct {
	*service

	address string
	rsa     *rsa.PrivateKey
	ed      ed25519.PrivateKey
	// apiKey is that of the user mallory, apiKeyHash what its file holds.
	apiKey, apiKeyHash string
	// event is the id of the event of another user.
	event string
}

const (
	testIssuer = "https://issuer.example"
	victim     = "victim"
	attacker   = "mallory"
	// treasure is in the metadata of the event of the victim, and must be in no answer.
	treasure = "treasure-8e1f"
)

func newFortress(t *testing.T) *fortress {
	t.Helper()
	f := &fortress{}
	var err error
	f.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, f.ed, err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, entry, err := auth.NewKey(auth.KeyEntry{Name: attacker, Scopes: []string{application.ScopeRead, application.ScopeWrite}})
	require.NoError(t, err)
	f.apiKey, f.apiKeyHash = key, entry.SHA256
	f.service = newService(t, func(o *Options) {
		keys, err := auth.OpenAPIKeys(fileOf(t, []byte(entry.String())), o.Logger)
		require.NoError(t, err)
		tokens, err := auth.NewTokens(auth.TokenOptions{
			Issuer: testIssuer, Audience: "netstreamflow", Leeway: time.Minute, Logger: o.Logger,
			KeyFile: fileOf(t, jwks(t, map[string]crypto.PublicKey{"rsa": f.rsa.Public(), "ed": f.ed.Public()})),
		})
		require.NoError(t, err)
		t.Cleanup(tokens.Close)
		a := &auth.Authenticator{Tokens: tokens, Keys: keys}
		o.Authenticate = func(r *http.Request) (Principal, error) {
			caller, err := a.Caller(r)
			return PrincipalOf(caller), err
		}
		o.OwnUser, o.HSTS, o.Origins = true, true, []string{"https://app.example"}
		o.HeaderTimeout, o.BodyTimeout, o.BatchTimeout = 500*time.Millisecond, 500*time.Millisecond, 500*time.Millisecond
	})
	f.address = f.serve()
	w := f.post("/api/events", `{"userId":"`+victim+`","eventType":"t","metadata":{"x":"`+treasure+`"}}`, f.bearer(nil, set("sub", victim)))
	require.Equal(t, http.StatusAccepted, w.StatusCode, w.body)
	f.event = decode[struct{ EventID string }](t, w).EventID
	return f
}

func fileOf(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func jwks(t *testing.T, keys map[string]crypto.PublicKey) []byte {
	t.Helper()
	var all jwkset.JWKSMarshal
	for id, public := range keys {
		k, err := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id}})
		require.NoError(t, err)
		all.Keys = append(all.Keys, k.Marshal())
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return text
}

type change = func(jwt.MapClaims)

func set(name string, value any) change {
	return func(c jwt.MapClaims) {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
}

// token is one of the attacker's that would be taken, but for the changes.
func (f *fortress) token(method jwt.SigningMethod, key any, header map[string]any, changes ...change) string {
	f.t.Helper()
	c := jwt.MapClaims{
		"iss": testIssuer, "aud": "netstreamflow", "sub": attacker, "scope": "events:read events:write", "exp": time.Now().Add(time.Hour).Unix(),
	}
	for _, change := range changes {
		change(c)
	}
	t := jwt.NewWithClaims(method, c)
	maps.Copy(t.Header, header)
	text, err := t.SignedString(key)
	require.NoError(f.t, err)
	return text
}

// bearer is the header with a token of the issuer's.
func (f *fortress) bearer(header map[string]any, changes ...change) string {
	return "Authorization: Bearer " + f.token(jwt.SigningMethodEdDSA, f.ed, header, changes...)
}

// attack is a request that must be refused.
type attack struct {
	// request is what is sent, without the header Host.
	request string
	status  int
	// problem is the end of the problem's type, "" where net/http answers by itself, in plain text.
	problem string
}

const (
	readVictim = "GET /api/events/user/" + victim + " HTTP/1.1\r\n"
	readAll    = "GET /api/events HTTP/1.1\r\n"
	jsonType   = "Content-Type: application/json\r\n"
	forged     = `{"userId":"` + victim + `","eventType":"forged"}`
	ownEvent   = `{"userId":"` + attacker + `","eventType":"t"}`
)

func post(path, body string, headers ...string) string {
	return "POST " + path + " HTTP/1.1\r\n" + jsonType + strings.Join(append(headers, ""), "\r\n") + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
}

func get(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

// attacks is the table: what somebody may try, and how it must be refused.
func (f *fortress) attacks() map[string]attack {
	t := f.t
	public, err := x509.MarshalPKIXPublicKey(f.rsa.Public())
	require.NoError(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	own, ownKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	hmac := func(secret []byte, header map[string]any) string {
		return "Authorization: Bearer " + f.token(jwt.SigningMethodHS256, secret, header, set("sub", victim))
	}
	unsigned := func(alg string) string {
		parts := strings.Split(f.token(jwt.SigningMethodEdDSA, f.ed, nil, set("sub", victim)), ".")
		return "Authorization: Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`"}`)) + "." + parts[1] + "."
	}
	parts := strings.Split(f.token(jwt.SigningMethodEdDSA, f.ed, nil), ".")
	changed := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + testIssuer + `","aud":"netstreamflow","sub":"` + victim + `","exp":9999999999,"scope":"events:read"}`))
	mine := f.bearer(nil)
	sum, err := hex.DecodeString(f.apiKeyHash)
	require.NoError(t, err)
	ago, in := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	victims := set("sub", victim)
	const unknown, bad, no = "unauthenticated", "bad-credentials", "forbidden"

	return map[string]attack{
		// Who one is
		"no token":                     {get("/api/events"), 401, unknown},
		"no token for a write":         {post("/api/events", forged), 401, unknown},
		"no token for a batch":         {post("/api/events/batch", "["+forged+"]"), 401, unknown},
		"no token, asked for the head": {"HEAD /api/events HTTP/1.1\r\n\r\n", 401, ""},
		"a token in the query":         {get("/api/events?access_token=" + parts[0] + "." + parts[1] + "." + parts[2]), 401, unknown},
		"a token in a cookie":          {get("/api/events", "Cookie: access_token="+strings.Join(parts, ".")), 401, unknown},
		"expired":                      {get("/api/events", f.bearer(nil, victims, set("exp", ago))), 401, bad},
		"without expiry":               {get("/api/events", f.bearer(nil, victims, set("exp", nil))), 401, bad},
		"not valid yet":                {get("/api/events", f.bearer(nil, victims, set("nbf", in))), 401, bad},
		"issued in the future":         {get("/api/events", f.bearer(nil, victims, set("iat", in))), 401, bad},
		"wrong audience":               {get("/api/events", f.bearer(nil, victims, set("aud", "other"))), 401, bad},
		"no audience":                  {get("/api/events", f.bearer(nil, victims, set("aud", nil))), 401, bad},
		"wrong issuer":                 {get("/api/events", f.bearer(nil, victims, set("iss", "https://issuer.example.evil"))), 401, bad},
		"no issuer":                    {get("/api/events", f.bearer(nil, victims, set("iss", nil))), 401, bad},
		"no subject":                   {get("/api/events", f.bearer(nil, set("sub", ""))), 401, bad},
		"alg none":                     {get("/api/events", unsigned("none")), 401, bad},
		"alg None":                     {get("/api/events", unsigned("None")), 401, bad},
		"alg of nothing":               {get("/api/events", unsigned("")), 401, bad},
		"HS256 signed with the RSA public key in PEM": {get("/api/events", hmac(asPEM, nil)), 401, bad},
		"HS256 signed with the RSA public key in DER": {get("/api/events", hmac(public, map[string]any{"kid": "rsa"})), 401, bad},
		"HS256 signed with the RSA modulus":           {get("/api/events", hmac(f.rsa.N.Bytes(), map[string]any{"kid": "rsa"})), 401, bad},
		"HS256 signed with the Ed25519 public key":    {get("/api/events", hmac(f.ed.Public().(ed25519.PublicKey), map[string]any{"kid": "ed"})), 401, bad},
		"unknown kid":            {get("/api/events", f.bearer(map[string]any{"kid": "unknown"}, victims)), 401, bad},
		"the kid of another key": {get("/api/events", f.bearer(map[string]any{"kid": "rsa"}, victims)), 401, bad},
		"a kid that is a path":   {get("/api/events", f.bearer(map[string]any{"kid": "../../../dev/null"}, victims)), 401, bad},
		"a kid that is SQL":      {get("/api/events", f.bearer(map[string]any{"kid": "' OR 1=1 --"}, victims)), 401, bad},
		"a key of one's own in the header": {get("/api/events", "Authorization: Bearer "+f.token(jwt.SigningMethodEdDSA, ownKey, map[string]any{
			"jwk": json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(own) + `"}`)}, victims)), 401, bad},
		"a URL of keys in the header": {get("/api/events", "Authorization: Bearer "+f.token(jwt.SigningMethodEdDSA, ownKey,
			map[string]any{"jku": "http://" + f.address + "/keys", "x5u": "http://" + f.address + "/keys"}, victims)), 401, bad},
		"a key of one's own":               {get("/api/events", "Authorization: Bearer "+f.token(jwt.SigningMethodEdDSA, ownKey, nil, victims)), 401, bad},
		"claims that were changed":         {get("/api/events", "Authorization: Bearer "+parts[0]+"."+changed+"."+parts[2]), 401, bad},
		"a signature that was cut":         {get("/api/events", "Authorization: Bearer "+parts[0]+"."+parts[1]+"."), 401, bad},
		"an extension to be understood":    {get("/api/events", f.bearer(map[string]any{"crit": []string{"x"}, "x": 1}, victims)), 401, bad},
		"a token of a thousand parts":      {get("/api/events", "Authorization: Bearer "+strings.Repeat("a.", 1000)), 401, bad},
		"two tokens":                       {get("/api/events", mine, f.bearer(nil, victims)), 401, bad},
		"a token and a key":                {get("/api/events", mine, "X-Api-Key: "+f.apiKey), 401, bad},
		"basic authentication":             {get("/api/events", "Authorization: Basic YWRtaW46YWRtaW4="), 401, bad},
		"a wrong key":                      {get("/api/events", "X-Api-Key: nsf_"+strings.Repeat("A", 43)), 401, bad},
		"the hash of a key":                {get("/api/events", "X-Api-Key: "+f.apiKeyHash), 401, bad},
		"the hash of a key, as if a key":   {get("/api/events", "X-Api-Key: nsf_"+base64.RawURLEncoding.EncodeToString(sum)), 401, bad},
		"another header that names a user": {get("/api/events", "X-Forwarded-User: "+victim, "X-Remote-User: "+victim), 401, unknown},

		// What one may
		"a write with events:read":            {post("/api/events", ownEvent, f.bearer(nil, set("scope", "events:read"))), 403, no},
		"a batch with events:read":            {post("/api/events/batch", "["+ownEvent+"]", f.bearer(nil, set("scope", "events:read"))), 403, no},
		"a read with events:write":            {get("/api/events", f.bearer(nil, set("scope", "events:write"))), 403, no},
		"no scope":                            {get("/api/events", f.bearer(nil, set("scope", nil))), 403, no},
		"a scope that is nearly one":          {get("/api/events", f.bearer(nil, set("scope", "events:read-all EVENTS:READ events:rea"))), 403, no},
		"admin alone":                         {get("/api/events", f.bearer(nil, set("scope", "admin"))), 403, no},
		"other user's events":                 {readVictim + mine + "\r\n\r\n", 403, no},
		"other user's events, escaped":        {get("/api/events/user/%76ictim", mine), 403, no},
		"other user's events, with a key":     {readVictim + "X-Api-Key: " + f.apiKey + "\r\n\r\n", 403, no},
		"other user's events, by the filter":  {get("/api/events?userId="+victim, mine), 403, no},
		"other user's event, by its id":       {get("/api/events/"+f.event, mine), 404, "not-found"},
		"an event in another's name":          {post("/api/events", forged, mine), 403, no},
		"an event in another's name, escaped": {post("/api/events", `{"userId":"\u0076ictim","eventType":"forged"}`, mine), 403, no},
		"an event in another's name, twice":   {post("/api/events", `{"userId":"`+attacker+`","userId":"`+victim+`","eventType":"forged"}`, mine), 400, "malformed"},
		"a batch in another's name":           {post("/api/events/batch", "["+forged+"]", mine), 403, no},
		"an unknown filter":                   {get("/api/events?user="+victim, mine), 400, "invalid"},
		"a filter twice":                      {get("/api/events?userId="+attacker+"&userId="+victim, mine), 400, "invalid"},

		// Administration
		"dead letters without a token":     {get("/api/admin/dead-letters"), 401, unknown},
		"dead letters without the scope":   {get("/api/admin/dead-letters", mine), 403, no},
		"a requeue without the scope":      {post("/api/admin/dead-letters/requeue", "{}", mine), 403, no},
		"a drop without a token":           {"DELETE /api/admin/dead-letters/0-0 HTTP/1.1\r\n\r\n", 401, unknown},
		"a drop without the scope":         {"DELETE /api/admin/dead-letters/0-0 HTTP/1.1\r\n" + mine + "\r\n\r\n", 403, no},
		"records of all without the scope": {get("/api/admin/messages?partition=0&offset=0", mine), 403, no},
		"the broker without the scope":     {get("/api/admin/broker", "X-Api-Key: "+f.apiKey), 403, no},
		"administration by a detour":       {get("/api/events/../admin/broker", mine), 404, "not-found"},
		"administration by an escape":      {get("/api/events/..%2fadmin%2fbroker", mine), 404, "not-found"},
		"administration, escaped":          {get("/api/%61dmin/broker", mine), 403, no},

		// Paths
		"two slashes":                {get("//api/events"), 404, "not-found"},
		"two slashes inside":         {get("/api//events"), 404, "not-found"},
		"a slash at the end":         {get("/api/events/"), 404, "not-found"},
		"out of what is public":      {get("/swagger/../api/events"), 404, "not-found"},
		"out of what is public, %2e": {get("/swagger/%2e%2e/api/events"), 404, "not-found"},
		"out of what is public, %2f": {get("/swagger/..%2fapi%2fevents"), 404, "not-found"},
		"out of health":              {get("/health/ready/../../api/events"), 404, "not-found"},
		"another case":               {get("/API/events"), 404, "not-found"},
		"a parameter of the path":    {get("/api/events;/health/live"), 404, "not-found"},
		"a byte of zero":             {get("/api/events%00"), 404, "not-found"},
		"escaped letters":            {get("/%61pi/events"), 401, unknown},
		"escaped twice":              {get("/api/events/user/%2576ictim"), 401, unknown},
		"another host in the target": {get("http://other.example/api/events"), 401, unknown},
		"a file of the machine":      {get("/swagger/..%2f..%2f..%2fetc%2fpasswd"), 404, "not-found"},
		"a method that is made up":   {"GETX /api/events HTTP/1.1\r\n\r\n", 405, "method-not-allowed"},
		"a method by a header":       {get("/api/events", "X-Http-Method-Override: POST"), 401, unknown},
		"trace":                      {"TRACE /api/events HTTP/1.1\r\n\r\n", 405, "method-not-allowed"},

		// Sizes and encodings
		"a huge header":               {get("/api/events", "X-Padding: "+strings.Repeat("a", 80<<10)), 431, "header-too-large"},
		"a huge target":               {get("/api/events?userId=" + strings.Repeat("a", 80<<10)), 431, "header-too-large"},
		"ten thousand headers":        {get("/api/events", strings.TrimSuffix(strings.Repeat("A: b\r\n", 20_000), "\r\n")), 431, "header-too-large"},
		"a huge body":                 {post("/api/events", strings.Repeat(" ", 2<<20), mine), 413, "too-large"},
		"a huge body, only announced": {"POST /api/events HTTP/1.1\r\n" + jsonType + mine + "\r\nExpect: 100-continue\r\nContent-Length: 100000000000\r\n\r\n", 413, "too-large"},
		"a huge body in chunks":       {"POST /api/events HTTP/1.1\r\n" + jsonType + mine + "\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + strings.Repeat(" ", 2<<20) + "\r\n0\r\n\r\n", 413, "too-large"},
		"a compressed bomb":           {post("/api/events", bomb(t), mine, "Content-Encoding: gzip"), 415, "unsupported-media-type"},
		"a compressed bomb, batched":  {post("/api/events/batch", bomb(t), mine, "Content-Encoding: deflate, gzip"), 415, "unsupported-media-type"},
		"deep nesting":                {post("/api/events", `{"userId":"`+attacker+`","eventType":"t","metadata":`+strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)+"}", mine), 400, "malformed"},
		"two lengths":                 {"POST /api/events HTTP/1.1\r\n" + jsonType + mine + "\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400, "malformed"},
		"a length and chunks that hide a second request": {"POST /api/events HTTP/1.1\r\n" + jsonType + mine + "\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400, "malformed"},

		// Slowness
		"a slow body":               {"POST /api/events HTTP/1.1\r\n" + jsonType + mine + "\r\nContent-Length: 100\r\n\r\n{", 408, "timeout"},
		"a slow batch":              {"POST /api/events/batch HTTP/1.1\r\n" + jsonType + mine + "\r\nContent-Length: 100\r\n\r\n[", 408, "timeout"},
		"a slow body without token": {"POST /api/events HTTP/1.1\r\n" + jsonType + "Content-Length: 100\r\n\r\n{", 401, unknown},
		"a slow header":             {"GET /api/events HTTP/1.1\r\nX-Slow: ", 0, ""},
		"a slow first line":         {"GET /api", 0, ""},

		// What is repeated of the input
		"a header in a parameter's name":  {get("/api/events?x%0d%0aX-Evil:%201=1", mine), 400, "invalid"},
		"a header in a parameter's value": {get("/api/events?limit=1%0d%0aX-Evil:%201", mine), 400, "invalid"},
		"a header in a path":              {get("/api/events/user/u%0d%0aX-Evil:%201", mine), 400, "invalid"},
		"a header in an idempotency key":  {post("/api/events", ownEvent, mine, "Idempotency-Key: a\x00b"), 400, "malformed"},
		"a log line in a userId":          {post("/api/events", `{"userId":"u\n{\"level\":\"ERROR\",\"msg\":\"forged\"}","eventType":"t"}`, f.bearer(nil, set("scope", "events:write admin"))), 400, "invalid"},
		"a log line in a path":            {get("/api/events/user/u%0a%7B%22msg%22:%22forged%22%7D"), 401, unknown},
		"a log line in a key id":          {get("/api/events", f.bearer(map[string]any{"kid": "x\n{\"msg\":\"forged\"}"}, victims)), 401, bad},
		"a log line in a subject":         {get("/api/events", f.bearer(nil, set("sub", "u\n{\"msg\":\"forged\"}"))), 401, bad},
		"a page in a problem":             {get("/api/events?%3Cscript%3Ealert(1)%3C/script%3E=1", mine, "Accept: text/html"), 400, "invalid"},

		// Pages of other sites
		"a form of another site": {strings.Replace(post("/api/events", ownEvent, "Origin: https://evil.example"), "application/json", "text/plain", 1), 401, unknown},
		"a form with a token":    {strings.Replace(post("/api/events", ownEvent, mine, "Origin: https://evil.example"), "application/json", "text/plain", 1), 415, "unsupported-media-type"},
		"a read of another site": {get("/api/events", "Origin: https://evil.example"), 401, unknown},
	}
}

func bomb(t *testing.T) string {
	t.Helper()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	require.NoError(t, err)
	_, err = io.CopyN(z, zeros{}, 64<<20)
	require.NoError(t, errors.Join(err, z.Close()))
	return packed.String()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestAttacks makes each attack on a server of its own connection, over TCP.
func TestAttacks(t *testing.T) {
	f := newFortress(t)
	before := f.log.published()
	for name, a := range f.attacks() {
		t.Run(name, func(t *testing.T) {
			s := f.in(t)
			s.api.failures.buckets.Purge() // the bound on failures has a test of its own
			c := dial(t, s, f.address)
			line, rest, whole := strings.Cut(a.request, "\r\n")
			request := line
			if whole {
				request += "\r\nHost: x\r\n" + rest
			}
			// Who has been refused may see the connection end while it still sends.
			if _, err := io.WriteString(c, request); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
			if a.status == 0 {
				require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
				answer, err := io.ReadAll(c.reader)
				require.NoError(t, err, "the connection ends, and nobody waits")
				assert.True(t, len(answer) == 0 || bytes.HasPrefix(answer, []byte("HTTP/1.1 4")), "%s", answer)
				return
			}
			method, target, _ := strings.Cut(line, " ")
			r, err := http.NewRequest(method, "http://x/", nil)
			require.NoError(t, err)
			w, err := http.ReadResponse(c.reader, r)
			require.NoError(t, err)
			body, err := io.ReadAll(w.Body)
			require.NoError(t, errors.Join(err, w.Body.Close()))
			assert.Equal(t, a.status, w.StatusCode, "%s", body)
			f.givesNothingAway(t, w, body)
			if a.problem != "" {
				s.isProblem(w, body)
				assert.Equal(t, typePrefix+a.problem, decode[problemBody](t, response{w, string(body)}).Type, target)
			}
		})
	}
	assert.Equal(t, before, f.log.published(), "nothing was written")
	for line := range strings.Lines(f.logs.String()) {
		var entry struct{ Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		assert.NotEqual(t, "forged", entry.Msg)
	}
	assert.NotContains(t, f.logs.String(), f.apiKey)
	assert.NotContains(t, f.logs.String(), "eyJ", "no token is logged")
	assert.Contains(t, f.logs.String(), "a caller could not be authenticated")
	assert.Equal(t, http.StatusOK, f.get("/api/events/user/"+victim, f.bearer(nil, set("sub", victim))).StatusCode, "the victim still can")
}

// givesNothingAway looks for what no refusal may have.
func (f *fortress) givesNothingAway(t *testing.T, w *http.Response, body []byte) {
	t.Helper()
	assert.NotContains(t, string(body), treasure)
	assert.NotContains(t, string(body), "goroutine")
	assert.NotContains(t, string(body), f.apiKeyHash)
	assert.Empty(t, w.Header.Values("X-Evil"))
	assert.NotEqual(t, "*", w.Header.Get("Access-Control-Allow-Origin"))
	assert.NotContains(t, w.Header.Get("Access-Control-Allow-Origin"), "evil")
	assert.Empty(t, w.Header.Get("Set-Cookie"))
	challenge := w.Header.Get("Www-Authenticate")
	if w.StatusCode == http.StatusUnauthorized {
		assert.True(t, strings.HasPrefix(challenge, "Bearer "), challenge)
	}
	for _, reason := range []string{"expired", "audience", "issuer", "signature", "kid"} {
		assert.NotContains(t, challenge+string(body), reason, "a refusal does not say why")
	}
}

// TestBruteForce tries keys until it is locked out, from which on not even the right one opens, until the time has come.
func TestBruteForce(t *testing.T) {
	f := newFortress(t)
	client := f.client()
	try := func(key string) response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+f.address+"/api/events", nil)
		require.NoError(t, err)
		r.Header.Set("X-Api-Key", key)
		w, err := client.Do(r)
		require.NoError(t, err)
		w.Body.Close()
		return response{Response: w}
	}
	tries, locked := 0, response{}
	for locked.Response == nil && tries < 10*failureBurst {
		sum := sha256.Sum256([]byte{byte(tries)})
		tries++
		if w := try("nsf_" + base64.RawURLEncoding.EncodeToString(sum[:])); w.StatusCode == http.StatusTooManyRequests {
			locked = w
		} else {
			require.Equal(t, http.StatusUnauthorized, w.StatusCode)
		}
	}
	require.NotNil(t, locked.Response)
	assert.LessOrEqual(t, tries, 2*failureBurst)
	assert.Regexp(t, `^[1-9]\d*$`, locked.Header.Get("Retry-After"))
	assert.Equal(t, http.StatusTooManyRequests, try(f.apiKey).StatusCode)
	w := f.get("/health/live")
	assert.Equal(t, http.StatusOK, w.StatusCode, "what is public is not held up")
	require.Eventually(t, func() bool { return try(f.apiKey).StatusCode == http.StatusOK }, 10*time.Second, 50*time.Millisecond)
}

// TestNobodyIsLockedOutByNoToken: to send no token is no failure, and to lack a scope is none.
func TestNobodyIsLockedOutByNoToken(t *testing.T) {
	f := newFortress(t)
	for range 3 * failureBurst {
		require.Equal(t, http.StatusUnauthorized, f.get("/api/events").StatusCode)
		require.Equal(t, http.StatusForbidden, f.get("/api/events", f.bearer(nil, set("scope", "x"))).StatusCode)
	}
	assert.Equal(t, http.StatusOK, f.get("/api/events", f.bearer(nil)).StatusCode)
}

// serveTLS is serve with TLS and HTTP/2.
func (f *fortress) serveTLS() string {
	f.t.Helper()
	config, err := auth.NewTLS(auth.TLSOptions{Logger: f.api.Logger})
	require.NoError(f.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	server := NewServer(f.api, f.api.Options)
	server.TLSConfig = config
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(l, "", "")
	}()
	f.t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// TestAttacksOverHTTP2 makes those that are different where one connection has many requests.
func TestAttacksOverHTTP2(t *testing.T) {
	f := newFortress(t)
	address := f.serveTLS()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: &checked{f.service, transport}, Timeout: 10 * time.Second}
	ask := func(method, path string, body io.Reader, headers ...string) (response, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, body)
		require.NoError(t, err)
		for _, h := range append(headers, asJSON) {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w, err := client.Do(r)
		if err != nil {
			return response{}, err
		}
		assert.Equal(t, 2, w.ProtoMajor)
		return response{Response: w}, w.Body.Close()
	}
	mine := f.bearer(nil)
	for name, c := range map[string]struct {
		method, path string
		body         func() io.Reader
		headers      []string
		status       int
	}{
		"no token":       {"GET", "/api/events", nil, nil, 401},
		"another user":   {"GET", "/api/events/user/" + victim, nil, []string{mine}, 403},
		"a huge body":    {"POST", "/api/events", func() io.Reader { return io.LimitReader(zeros{}, 4<<20) }, []string{mine}, 413},
		"a slow body":    {"POST", "/api/events", stalled, []string{mine}, 408},
		"a slow batch":   {"POST", "/api/events/batch", stalled, []string{mine}, 408},
		"slow, no token": {"POST", "/api/events", stalled, nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			var body io.Reader
			if c.body != nil {
				body = c.body()
			}
			w, err := ask(c.method, c.path, body, c.headers...)
			require.NoError(t, err)
			assert.Equal(t, c.status, w.StatusCode)
		})
	}
	w, err := ask("GET", "/api/events", nil, "X-Padding: "+strings.Repeat("a", 80<<10))
	if err == nil {
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, w.StatusCode)
	}
	w, err = ask("GET", "/api/events", nil, mine)
	require.NoError(t, err, "others on the connection go on")
	assert.Equal(t, http.StatusOK, w.StatusCode)
	assert.NotEmpty(t, w.Header.Get("Strict-Transport-Security"))
}

// stalled is a body that begins and never goes on, until it is closed.
func stalled() io.Reader {
	r, w := io.Pipe()
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader("{"), r), w}
}
