package netstreamflow_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow"
)

// effective returns the settings by name, and the file that they make.
func effective(t *testing.T, cfg netstreamflow.Config) (map[string]netstreamflow.EffectiveSetting, string) {
	t.Helper()
	settings, err := cfg.Effective(t.Context(), netstreamflow.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]netstreamflow.EffectiveSetting, len(settings))
	for _, s := range settings {
		byName[s.Name] = s
	}
	var b strings.Builder
	if err := netstreamflow.WriteYAML(&b, settings); err != nil {
		t.Fatal(err)
	}
	return byName, b.String()
}

func TestEffectiveTellsOrigins(t *testing.T) {
	path := file(t, "topic: from-file\ngroup: \"from # file\"\npartitions: 3\nstore-password: in-the-file\n")
	secret := file(t, "in-its-file")
	cfg, err := load(t, []string{"--partitions=4", "--config", path, "--broker", "kafka://user@h:9092?sasl=PLAIN"},
		[]string{"NETSTREAMFLOW_TOPIC=from-env", "NETSTREAMFLOW_BROKER_PASSWORD_FILE=" + secret, "NETSTREAMFLOW_PARTITIONS=5"})
	if err != nil {
		t.Fatal(err)
	}
	got, text := effective(t, cfg)
	for name, want := range map[string]netstreamflow.EffectiveSetting{
		"topic":           {Value: "from-env", Set: true, Origin: "environment NETSTREAMFLOW_TOPIC"},
		"group":           {Value: "from # file", Set: true, Origin: "file " + path},
		"partitions":      {Value: "4", Set: true, Origin: "flag --partitions"},
		"listen":          {Value: "127.0.0.1:5000", Origin: "default"},
		"broker":          {Value: "kafka://…@h:9092?…", Set: true, Origin: "flag --broker"},
		"broker-password": {Value: "file:" + secret, Secret: true, Set: true, Origin: "environment NETSTREAMFLOW_BROKER_PASSWORD_FILE"},
		"store-password":  {Secret: true, Set: true, Origin: "file " + path},
	} {
		s := got[name]
		if s.Value != want.Value || s.Secret != want.Secret || s.Set != want.Set || s.Origin != want.Origin {
			t.Errorf("%s: got %+v, want %+v", name, s, want)
		}
		if !strings.Contains(text, name+": ") || !strings.Contains(text, "# "+want.Origin) {
			t.Errorf("%s or its origin is not in\n%s", name, text)
		}
	}
	for _, never := range []string{"in-the-file", "in-its-file", "user@", "PLAIN"} {
		if strings.Contains(text, never) {
			t.Errorf("%q is in\n%s", never, text)
		}
	}
	if !strings.Contains(text, "\n# store-password: \"••••••••\" ") || !strings.Contains(text, "\nbroker-password: \"file:") {
		t.Errorf("the secrets are shown as\n%s", text)
	}
}

// TestEffectiveIsAFile gives what is written to --config, with texts that YAML could take for something else.
func TestEffectiveIsAFile(t *testing.T) {
	t.Setenv("PGPASSWORD", "s3cret")
	cfg, err := load(t, []string{"--group", `a "b": {c} # <d> \e` + "\u2028é", "--data-dir", "007", "--spool", "--broker", "kafka://h:9092", "--retention", "720h",
		"--store-password", "env:PGPASSWORD"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, text := effective(t, cfg)
	again, err := load(t, []string{"--config", file(t, text)}, nil)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if again.Group != cfg.Group || again.DataDir != cfg.DataDir || !again.Spool || again.Broker != cfg.Broker || again.Retention != cfg.Retention ||
		again.StorePassword != cfg.StorePassword || again.SecretsRefresh != cfg.SecretsRefresh || again.LogLevel != cfg.LogLevel {
		t.Errorf("got %+v\nof %+v", again, cfg)
	}
}

func TestEffectiveRefuses(t *testing.T) {
	for _, args := range [][]string{{"--broker-password", "vault:s3cret"}, {"--store-password", "env:s3cret!"}, {"--store-password", "literal:"}, {"--store-password", "file:/no/such"}, {"--spool"}} {
		cfg, err := load(t, args, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cfg.Effective(t.Context(), netstreamflow.BuiltIn())
		var fault *netstreamflow.SettingError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), args[0]) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestSecretsAreResolved starts with references that can and can never be followed.
func TestSecretsAreResolved(t *testing.T) {
	t.Setenv("SECRETS_TEST", "s3cret")
	for reference, want := range map[string]string{
		"env:SECRETS_TEST": "", "file:" + file(t, "s3cret"): "", "literal:vault://s3cret": "", "plain-s3cret": "",
		"azkv://s3cret": "--store-password holds a malformed azkv: reference",
	} {
		cfg := netstreamflow.DefaultConfig()
		cfg.Listen, cfg.Broker, cfg.Store, cfg.StorePassword, cfg.LogOutput = "127.0.0.1:0", "memory:", "memory:", reference, t.Output()
		_, cleanup, err := netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
		if err == nil {
			cleanup()
		}
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: got the error %v, want %q", reference, err, want)
		}
		var fault *netstreamflow.SettingError
		if errors.As(err, &fault) != (want != "") {
			t.Errorf("%s: the exit status of %v would be wrong", reference, err)
		}
	}
}
