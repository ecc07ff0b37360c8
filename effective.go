package netstreamflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/netstreamflow/netstreamflow/adapters/secret"
)

// EffectiveSetting is a setting as it is in effect, without what must not be shown.
type EffectiveSetting struct {
	Name string `json:"name"`
	// Value is the setting's text; parts that may hold a secret are left out. A secret has none, but for a reference.
	Value string `json:"value"`
	// Secret says that the setting is one, Set that it is given.
	Secret bool `json:"secret,omitempty"`
	Set    bool `json:"set"`
	// Origin is "default", "flag --NAME", "environment VARIABLE" or "file PATH".
	Origin string `json:"origin"`

	isText bool
}

// originDefault is the origin of what was not given.
const originDefault = "default"

// Effective lists all settings as they are in effect, and where each comes from. It fetches no secret from elsewhere, but sees
// to it that those on this machine are there. A setting that cannot be used is a [*SettingError].
func (c Config) Effective(ctx context.Context, d Drivers) ([]EffectiveSetting, error) {
	if err := c.check(d); err != nil {
		return nil, err
	}
	if _, err := c.secrets(ctx, d); err != nil {
		return nil, err
	}
	var all []EffectiveSetting
	for _, s := range c.settings() {
		e := EffectiveSetting{Name: s.name, Value: s.get(), Secret: s.secret, Origin: originDefault, isText: s.kind == "string" || s.kind == "networks"}
		if given := c.origins[s.name]; given != "" {
			e.Set, e.Origin = true, given
		}
		switch {
		case s.secret:
			e.Set = e.Value != ""
			e.Value = shownReference(d, e.Value)
		case s.redact != nil:
			e.Value = s.redact(e.Value)
		}
		all = append(all, e)
	}
	return all, nil
}

// shownReference is the reference that says where a secret is, "" for the secret itself.
func shownReference(d Drivers, value string) string {
	scheme, _, err := secret.Find(d.Secrets, value)
	if err != nil || scheme == "" || scheme == schemeLiteral {
		return ""
	}
	return value
}

// mask stands for a secret.
const mask = "••••••••"

// WriteYAML writes the settings as a file for --config, with the origin of each as a comment. A secret that was given itself is
// masked and left out by a comment, too.
func WriteYAML(w io.Writer, settings []EffectiveSetting) error {
	var b bytes.Buffer
	for _, s := range settings {
		line := s.Name + ": " + s.yaml()
		if s.Secret && s.Value == "" {
			line = "# " + line
		}
		fmt.Fprintf(&b, "%-50s # %s\n", line, strings.ToValidUTF8(strings.ReplaceAll(s.Origin, "\n", " "), "?"))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// yaml is the value as a scalar of YAML, of which JSON's texts are some.
func (s EffectiveSetting) yaml() string {
	value := s.Value
	if s.Secret && s.Set && value == "" {
		value = mask
	}
	if !s.isText {
		return value
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a text can be written
	return strings.TrimSpace(b.String())
}
