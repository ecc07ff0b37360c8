// Package secret finds the secrets that settings refer to, and keeps them current. Each kind of source is a file of its own,
// and is opened by the scheme of a reference:
//
//	file:/run/secrets/kafka                    a file
//	env:KAFKA_PASSWORD                         an environment variable
//	awssm://prod/kafka?region=eu-west-1        AWS Secrets Manager
//	azkv://my-vault/kafka                      Azure Key Vault
//	vault://secret/prod/kafka#password         HashiCorp Vault, its key-value engine of version 2
//	literal:env:is-how-it-begins               what follows, as it is
package secret

import (
	"context"
	"fmt"
	"strings"

	"github.com/netstreamflow/netstreamflow/domain"
)

// Source is where one secret is kept. It may implement [Local].
type Source interface {
	// Fetch returns the secret as it is now, and gives up when ctx ends. An error holds nothing of the secret; it is a
	// [domain.ErrNotFound] where there is no such secret. It may be repeated, one call at a time.
	Fetch(ctx context.Context) (string, error)
}

// Local is a source that is on this machine: asking it often costs nothing, and where it has no secret no other machine is the
// cause.
type Local interface {
	Local() bool
}

// IsLocal says whether the source is on this machine.
func IsLocal(s Source) bool {
	l, ok := s.(Local)
	return ok && l.Local()
}

var errEmpty = fmt.Errorf("%w: it is empty", domain.ErrNotFound)

// Get fetches a secret once, within ten seconds. One that is empty is a [domain.ErrNotFound].
func Get(ctx context.Context, s Source) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	found, err := s.Fetch(ctx)
	if err == nil && found == "" {
		err = errEmpty
	}
	return found, err
}

// Open makes the source that a reference names. It makes no connection. A reference that cannot be used is a
// [domain.ErrInvalid] that says what is allowed and does not repeat the reference: it may be a password that looks like one.
type Open func(reference string) (Source, error)

// Find returns the source that a setting's value refers to, with its scheme. A value that begins with none of the schemes and
// a colon is the secret itself: its scheme is "".
func Find(sources map[string]Open, value string) (scheme string, s Source, err error) {
	scheme, _, _ = strings.Cut(value, ":")
	scheme = strings.ToLower(scheme)
	open := sources[scheme]
	if open == nil || len(scheme) == len(value) {
		return "", literal(value), nil
	}
	s, err = open(value)
	return scheme, s, err
}

// after returns what follows the scheme and its colon.
func after(reference string) string {
	_, rest, _ := strings.Cut(reference, ":")
	return rest
}

// malformed says how references of the scheme are written.
func malformed(scheme, form string) error {
	return domain.Invalid("", fmt.Sprintf("holds a malformed %s: reference: it must be %s, or literal: and the secret where that begins so", scheme, form))
}

// literal is a secret that is given itself.
type literal string

// OpenLiteral is the [Open] of literal:, with which a secret is given that begins like a reference.
func OpenLiteral(reference string) (Source, error) {
	if after(reference) == "" {
		return nil, malformed("literal", "literal:SECRET")
	}
	return literal(after(reference)), nil
}

// Fetch implements [Source].
func (l literal) Fetch(context.Context) (string, error) { return string(l), nil }
