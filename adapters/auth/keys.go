package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxKeys bounds a set, and with it how many signatures one token can make be checked.
	maxKeys = 64
	// minRSABits is what RFC 7518 asks for.
	minRSABits = 2048
)

// The algorithms of each kind of key. None is in two kinds, so that what signs with one is never verified with another.
var (
	algorithmsOfRSA    = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	algorithmOfEd25519 = []string{"EdDSA"}
	algorithmsOfCurves = map[elliptic.Curve][]string{
		elliptic.P256(): {"ES256"}, elliptic.P384(): {"ES384"}, elliptic.P521(): {"ES512"},
	}
	algorithmOfSecrets = []string{"HS256"}
)

// asymmetric lists the algorithms for public keys.
func asymmetric() []string {
	return append(slices.Clone(algorithmsOfRSA), "ES256", "ES384", "ES512", "EdDSA")
}

// verificationKey is a key that tokens may be signed with. id is "" where nothing names the key.
type verificationKey struct {
	id         string
	algorithms []string
	key        crypto.PublicKey
}

// keySet is immutable.
type keySet []verificationKey

// has says whether a token with the key id can be verified as far as its id goes.
func (s keySet) has(id string) bool {
	return slices.ContainsFunc(s, func(k verificationKey) bool { return k.named(id) })
}

// named says whether the key may be meant by the id.
func (k verificationKey) named(id string) bool { return id == "" || k.id == "" || k.id == id }

// find returns the keys that a token of this key id and algorithm may be signed with.
func (s keySet) find(id, algorithm string) []jwt.VerificationKey {
	var found []jwt.VerificationKey
	for _, k := range s {
		if k.named(id) && slices.Contains(k.algorithms, algorithm) {
			found = append(found, k.key)
		}
	}
	return found
}

// newKey binds a public key to the algorithms that it is for; only restricts them unless empty.
func newKey(id, only string, public crypto.PublicKey) (verificationKey, error) {
	k := verificationKey{id: id, key: public}
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return k, fmt.Errorf("an RSA key of %d bits: at least %d are needed", key.N.BitLen(), minRSABits)
		}
		k.algorithms = algorithmsOfRSA
	case *ecdsa.PublicKey:
		k.algorithms = algorithmsOfCurves[key.Curve]
	case ed25519.PublicKey:
		k.algorithms = algorithmOfEd25519
	}
	if only != "" {
		if !slices.Contains(k.algorithms, only) {
			return k, fmt.Errorf("a %T cannot be used with the algorithm %.16q", public, only)
		}
		k.algorithms = []string{only}
	}
	if k.algorithms == nil {
		return k, fmt.Errorf("a %T cannot verify a token", public)
	}
	return k, nil
}

// readKeys reads a file of public keys: a JWK set, or PEM.
func readKeys(content []byte) (keySet, error) {
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		return readJWKS(content)
	}
	return readPEM(content)
}

// readJWKS reads a JWK set (RFC 7517). What is not for verifying signatures, or of a kind that is not known here, is passed
// over; the error says that no key is left.
func readJWKS(content []byte) (keySet, error) {
	var listed jwkset.JWKSMarshal
	if err := json.Unmarshal(content, &listed); err != nil {
		return nil, fmt.Errorf("read the JWK set: %w", err)
	}
	var set keySet
	var faults []error
	for _, k := range listed.Keys {
		if k.USE != "" && k.USE != jwkset.UseSig || len(k.KEYOPS) > 0 && !slices.Contains(k.KEYOPS, jwkset.KeyOpsVerify) {
			continue
		}
		// Without leave to read private members, a secret key cannot be read, and of a private one only the public half is.
		parsed, err := jwkset.NewJWKFromMarshal(k, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		key, err := newKey(k.KID, k.ALG.String(), parsed.Key())
		if err != nil {
			faults = append(faults, err)
			continue
		}
		set = append(set, key)
	}
	return set.checked(faults...)
}

func (s keySet) checked(faults ...error) (keySet, error) {
	switch {
	case len(s) == 0:
		return nil, errors.Join(append([]error{errors.New("there is no key that can verify a token")}, faults...)...)
	case len(s) > maxKeys:
		return nil, fmt.Errorf("there are %d keys: at most %d are taken", len(s), maxKeys)
	}
	return s, nil
}

// readPEM reads public keys and certificates.
func readPEM(content []byte) (keySet, error) {
	var set keySet
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return set.checked()
		}
		public, err := readBlock(block)
		if err != nil {
			return nil, err
		}
		key, err := newKey("", "", public)
		if err != nil {
			return nil, err
		}
		set = append(set, key)
	}
}

func readBlock(block *pem.Block) (crypto.PublicKey, error) {
	switch {
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("it holds a private key, which does not belong here: give the public key")
	case block.Type == "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read a certificate: %w", err)
		}
		return certificate.PublicKey, nil
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}
