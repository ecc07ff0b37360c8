package netstreamflow

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/netstreamflow/netstreamflow/adapters/secret"
)

// provideSecrets fetches the secrets that the settings refer to, and keeps them current.
func provideSecrets(ctx context.Context, cfg valid, d Drivers, logger *slog.Logger) (*secret.Keeper, func(), error) {
	found, err := cfg.secrets(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	k, err := secret.Keep(ctx, found, cfg.SecretsRefresh, logger.With("part", "secrets"))
	if err != nil {
		return nil, nil, err
	}
	return k, k.Close, nil
}

// secretChecks are for the secrets of which it can be told that they cannot be used.
var secretChecks = map[string]func(string) error{"jwt-secret": checkSecretBytes}

// secrets returns where the secrets are that are in use. Those on this machine must be there, also where something else goes
// before them: a reference to nothing is a bad value, as long as no other machine can be the cause.
func (c Config) secrets(ctx context.Context, d Drivers) ([]secret.Named, error) {
	for _, s := range c.passedOver {
		if _, err := s.refersTo(ctx, d); err != nil {
			return nil, err
		}
	}
	var all []secret.Named
	for _, s := range c.settings() {
		n, err := s.refersTo(ctx, d)
		if err != nil {
			return nil, err
		}
		if n.Source != nil {
			all = append(all, n)
		}
	}
	return all, nil
}

// refersTo returns where the setting's secret is, without a source where there is none.
func (s *setting) refersTo(ctx context.Context, d Drivers) (n secret.Named, err error) {
	if !s.secret || s.get() == "" {
		return n, nil
	}
	n = secret.Named{Setting: s.name, Check: secretChecks[s.name]}
	if n.Scheme, n.Source, err = secret.Find(d.Secrets, s.get()); err != nil {
		return n, s.fault(err.Error())
	}
	if !secret.IsLocal(n.Source) {
		return n, nil
	}
	if _, err = secret.Get(ctx, n.Source); err == nil {
		return n, nil
	}
	if ctx.Err() != nil {
		return n, fmt.Errorf("fetch the secrets: %w", ctx.Err())
	}
	return n, s.refersToNothing(n.Scheme, err)
}

// localSecrets say what references to secrets on this machine may be, by scheme.
var localSecrets = map[string]string{
	schemeFile: "must name a readable file with a secret in it, of at most 64 KiB",
	schemeEnv:  "must name an environment variable with a secret in it",
}

// refersToNothing shows the reference, which is no secret.
func (s *setting) refersToNothing(scheme string, err error) *SettingError {
	allowed := localSecrets[scheme]
	if allowed == "" {
		allowed = "must refer to a secret that is there"
	}
	e := s.fault(allowed + ": " + strings.Join(strings.Fields(reason(err)), " "))
	e.Value, e.Given = s.get(), true
	if s.spelling == variableOf(s.name)+envFileSuffix {
		e.Value = strings.TrimPrefix(e.Value, schemeFile+":")
	}
	return e
}
