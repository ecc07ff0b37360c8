package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// keyPrefix tells keys from tokens, and from other secrets where one has leaked.
	keyPrefix = "nsf_"
	// keyBytes are random.
	keyBytes = 32
	// maxAPIKeys bounds the file: a key is compared with all of them.
	maxAPIKeys = 1000
)

// keyLength is that of a key in text.
var keyLength = len(keyPrefix) + base64.RawURLEncoding.EncodedLen(keyBytes)

// KeyEntry is one key in the file. The key itself is not in it.
type KeyEntry struct {
	Name string `yaml:"name"`
	// SHA256 is the hash of the key in hexadecimal digits.
	SHA256 string   `yaml:"sha256"`
	Scopes []string `yaml:"scopes,flow"`
	// User is the userId of the key's own events, Name where it is empty.
	User string `yaml:"user,omitempty"`
}

// NewKey makes a key with the entry's name, scopes and user, and completes the entry. The key can be shown this once. The
// error is that of a bad entry.
func NewKey(e KeyEntry) (key string, _ KeyEntry, _ error) {
	random := make([]byte, keyBytes)
	_, _ = rand.Read(random) // it never fails
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(key))
	e.SHA256 = hex.EncodeToString(sum[:])
	_, err := e.read()
	return key, e, err
}

// String is the entry as it stands in the file.
func (e KeyEntry) String() string {
	text, err := yaml.Marshal([]KeyEntry{e})
	if err != nil {
		return err.Error() // cannot be: it holds text only
	}
	return string(text)
}

// apiKey is an entry that has been checked.
type apiKey struct {
	sum    [sha256.Size]byte
	caller application.Caller
}

func (e KeyEntry) read() (apiKey, error) {
	k := apiKey{caller: application.Caller{Means: application.ByKey, ID: e.Name, User: e.User, Scopes: e.Scopes}}
	if e.User == "" {
		k.caller.User = e.Name
	}
	if domain.CheckUserID(e.Name, "") != nil || domain.CheckUserID(k.caller.User, "") != nil {
		return k, errors.New("name, and user where it is given, must be 1 to 256 bytes of text without control characters")
	}
	if keyText.MatchString(e.Name) || keyText.MatchString(e.User) {
		return k, errors.New("name and user must not hold an API key: they are shown in the log")
	}
	if len(e.Scopes) == 0 {
		return k, fmt.Errorf("scopes of %q must not be empty", e.Name)
	}
	for _, s := range e.Scopes {
		if s != application.ScopeRead && s != application.ScopeWrite && s != application.ScopeAdmin {
			return k, fmt.Errorf("scopes of %q must be of %s, %s and %s, not %q", e.Name, application.ScopeRead, application.ScopeWrite, application.ScopeAdmin, s)
		}
	}
	sum, err := hex.DecodeString(e.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return k, fmt.Errorf("sha256 of %q must be 64 hexadecimal digits", e.Name)
	}
	copy(k.sum[:], sum)
	return k, nil
}

// APIKeys knows callers by keys, of whose hashes it has a file. It is safe for concurrent use.
type APIKeys struct {
	keys *watched[[]apiKey]
}

// OpenAPIKeys reads the file, a YAML list of [KeyEntry], and reads it again when it has changed.
func OpenAPIKeys(file string, logger *slog.Logger) (*APIKeys, error) {
	w, err := watch("the API keys", []string{file}, logger, func(c [][]byte) ([]apiKey, error) { return readAPIKeys(c[0]) })
	return &APIKeys{w}, err
}

// keyText is what is a key, or a good part of one.
var keyText = regexp.MustCompile(keyPrefix + `[\w-]{16,}`)

// readAPIKeys shows no key in an error, wherever in the file somebody has put one.
func readAPIKeys(content []byte) ([]apiKey, error) {
	keys, err := parseAPIKeys(content)
	if err != nil {
		return nil, errors.New(keyText.ReplaceAllString(err.Error(), keyPrefix+"…")) //nolint:err113 // nobody looks for what is in it
	}
	return keys, nil
}

func parseAPIKeys(content []byte) ([]apiKey, error) {
	var entries []KeyEntry
	switch err := yaml.NewDecoder(bytes.NewReader(content), yaml.Strict()).Decode(&entries); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty: a list without keys is []")
	case err != nil:
		// The library's text repeats lines of the file.
		line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return nil, fmt.Errorf("the file is not a YAML list of name, sha256, scopes and user: %s", line)
	case len(entries) > maxAPIKeys:
		return nil, fmt.Errorf("the file has %d keys: at most %d are taken", len(entries), maxAPIKeys)
	}
	keys := make([]apiKey, len(entries))
	for i, e := range entries {
		var err error
		if keys[i], err = e.read(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys[:i], func(k apiKey) bool { return k.caller.ID == e.Name || k.sum == keys[i].sum }) {
			return nil, fmt.Errorf("the name or the sha256 of %q is there twice", e.Name)
		}
	}
	return keys, nil
}

// Caller returns whose key it is. The error is a [domain.ErrBadCredentials].
func (k *APIKeys) Caller(key string) (application.Caller, error) {
	if len(key) != keyLength || !strings.HasPrefix(key, keyPrefix) {
		return application.Caller{}, refused("the API key is not of the form that keys have")
	}
	sum := sha256.Sum256([]byte(key))
	found := -1
	keys := k.keys.get()
	// Each is compared, in constant time, so that the time tells nothing of the file.
	for i := range keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(keys[i].sum[:], sum[:]), i, found)
	}
	if found < 0 {
		return application.Caller{}, refused("the API key is unknown")
	}
	return keys[found].caller, nil
}
