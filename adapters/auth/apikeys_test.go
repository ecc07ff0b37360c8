package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// makeKey makes a key that may write.
func makeKey(t *testing.T, name, user string) (key, entry string) {
	t.Helper()
	key, e, err := NewKey(KeyEntry{Name: name, User: user, Scopes: []string{application.ScopeWrite}})
	require.NoError(t, err)
	return key, e.String()
}

func TestAPIKey(t *testing.T) {
	one, entryOfOne := makeKey(t, "one", "")
	two, entryOfTwo := makeKey(t, "two", "user-2")
	assert.NotContains(t, entryOfOne, one[len(keyPrefix):], "the file has the hash only")
	keys, err := OpenAPIKeys(write(t, "keys.yaml", []byte("# the keys\n"+entryOfOne+entryOfTwo)), new(logs).logger())
	require.NoError(t, err)
	for key, want := range map[string]application.Caller{
		one: {Means: "key", ID: "one", User: "one", Scopes: []string{"events:write"}}, two: {Means: "key", ID: "two", User: "user-2", Scopes: []string{"events:write"}},
	} {
		got, err := keys.Caller(key)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	sum := sha256.Sum256([]byte(one))
	for _, wrong := range []string{
		"", "nsf_", one[:len(one)-1], one + "x", strings.ToUpper(one), "nsf_" + strings.Repeat("A", 43), hex.EncodeToString(sum[:]), one[len(keyPrefix):],
		strings.Repeat("x", len(one)),
	} {
		_, err := keys.Caller(wrong)
		require.ErrorIs(t, err, domain.ErrBadCredentials)
		if wrong != "" && wrong != "nsf_" {
			assert.NotContains(t, err.Error(), wrong)
		}
	}
}

func TestAPIKeysAreReadAgain(t *testing.T) {
	one, entry := makeKey(t, "one", "")
	file := write(t, "keys.yaml", []byte(entry))
	log := new(logs)
	keys, err := OpenAPIKeys(file, log.logger())
	require.NoError(t, err)
	keys.keys.every = 0
	two, entryOfTwo := makeKey(t, "two", "")
	require.NoError(t, os.WriteFile(file, []byte(entry+entryOfTwo), 0o600))
	_, err = keys.Caller(two)
	require.NoError(t, err)
	for _, broken := range []string{"", "- name: x", "{", entry + entry, "- a: b"} {
		require.NoError(t, os.WriteFile(file, []byte(broken), 0o600))
		_, err = keys.Caller(one)
		require.NoError(t, err, "the last good keys stay with %q", broken)
	}
	require.NoError(t, os.Remove(file))
	_, err = keys.Caller(one)
	require.NoError(t, err)
	assert.Contains(t, log.String(), "cannot be read again")
	require.NoError(t, os.WriteFile(file, []byte("[]"), 0o600))
	_, err = keys.Caller(one)
	require.ErrorIs(t, err, domain.ErrBadCredentials, "all are withdrawn")
	assert.NotContains(t, log.String(), one)
}

func TestFilesOfAPIKeysThatAreRefused(t *testing.T) {
	const misplaced = "nsf_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	_, entry := makeKey(t, "one", "")
	for name, c := range map[string]struct{ content, want string }{
		"empty":             {"", "empty"},
		"a comment":         {"# none yet\n", "empty"},
		"no list":           {"a: b", "not a YAML list"},
		"an unknown member": {strings.Replace(entry, "name:", "nam:", 1), "not a YAML list"},
		"no name":           {strings.Replace(entry, "name: one", "name: \"\"", 1), "name"},
		"no scopes":         {strings.Replace(entry, "scopes: [", "scopes: [] # [", 1), "scopes of"},
		"an unknown scope":  {strings.Replace(entry, "events:write", "events:delete", 1), "events:delete"},
		"a short hash":      {strings.Replace(entry, "sha256: ", "sha256: 00", 1), "64 hexadecimal digits"},
		"the same twice":    {entry + entry, "twice"},
		"a key as a scope":  {strings.Replace(entry, "events:write", misplaced, 1), "scopes of"},
		"a key as a member": {strings.Replace(entry, "name:", misplaced+":", 1), "not a YAML list"},
		"a key as a name":   {strings.Replace(entry, "name: one", "name: "+misplaced, 1), "must not hold an API key"},
		"far too many":      {strings.Repeat(entry, maxAPIKeys+1), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenAPIKeys(write(t, "keys.yaml", []byte(c.content)), new(logs).logger())
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), misplaced)
		})
	}
}

func TestNewKeyChecksTheEntry(t *testing.T) {
	for _, e := range []KeyEntry{{}, {Name: "a"}, {Name: "a", Scopes: []string{"x"}}, {Name: "a\nb", Scopes: []string{"admin"}}} {
		_, _, err := NewKey(e)
		require.Error(t, err)
	}
}

func TestCredentials(t *testing.T) {
	key, entry := makeKey(t, "one", "")
	keys, err := OpenAPIKeys(write(t, "keys.yaml", []byte(entry)), new(logs).logger())
	require.NoError(t, err)
	token := sign(t, "EdDSA", edKey(), good(), nil)
	tokens := tokensOf(t, pemOf(t, edKey().Public()))
	both, onlyKeys, onlyTokens := &Authenticator{Tokens: tokens, Keys: keys}, &Authenticator{Keys: keys}, &Authenticator{Tokens: tokens}
	for name, c := range map[string]struct {
		a      *Authenticator
		header http.Header
		caller string
		err    error
	}{
		"a token":                {both, http.Header{"Authorization": {"Bearer " + token}}, "user-1", nil},
		"the scheme in any case": {both, http.Header{"Authorization": {"bEaReR  " + token}}, "user-1", nil},
		"a key as bearer":        {both, http.Header{"Authorization": {"Bearer " + key}}, "one", nil},
		"a key":                  {both, http.Header{"X-Api-Key": {key}}, "one", nil},
		"nothing":                {both, http.Header{}, "", domain.ErrUnauthenticated},
		"a cookie":               {both, http.Header{"Cookie": {"token=" + token}}, "", domain.ErrUnauthenticated},
		"both":                   {both, http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {key}}, "", domain.ErrBadCredentials},
		"two tokens":             {both, http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, "", domain.ErrBadCredentials},
		"two keys":               {both, http.Header{"X-Api-Key": {key, key}}, "", domain.ErrBadCredentials},
		"a token as key":         {both, http.Header{"X-Api-Key": {token}}, "", domain.ErrBadCredentials},
		"basic":                  {both, http.Header{"Authorization": {"Basic dTpw"}}, "", domain.ErrBadCredentials},
		"a scheme alone":         {both, http.Header{"Authorization": {"Bearer"}}, "", domain.ErrBadCredentials},
		"a token alone":          {both, http.Header{"Authorization": {token}}, "", domain.ErrBadCredentials},
		"empty":                  {both, http.Header{"Authorization": {""}}, "", domain.ErrBadCredentials},
		"a token without tokens": {onlyKeys, http.Header{"Authorization": {"Bearer " + token}}, "", domain.ErrBadCredentials},
		"an empty key":           {both, http.Header{"X-Api-Key": {""}}, "", domain.ErrBadCredentials},
		"an empty key as bearer": {onlyKeys, http.Header{"Authorization": {"Bearer "}}, "", domain.ErrBadCredentials},
		"a key without keys":     {onlyTokens, http.Header{"Authorization": {"Bearer " + key}}, "", domain.ErrBadCredentials},
		"a header without keys":  {onlyTokens, http.Header{"X-Api-Key": {key}}, "", domain.ErrBadCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", nil)
			require.NoError(t, err)
			r.Header = c.header
			caller, err := c.a.Caller(r)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.caller, caller.ID)
			known, ok := c.a.Known(r)
			assert.Equal(t, err == nil, ok, "it has been verified just now")
			assert.Equal(t, caller, known)
		})
	}
}
