package netstreamflow_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/domain"
)

var update = flag.Bool("update", false, "write the files that are generated from the code")

// load does what serve does with a command line, an environment and a file.
func load(t *testing.T, args, environ []string) (netstreamflow.Config, error) {
	t.Helper()
	cfg := netstreamflow.DefaultConfig()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	cfg.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return cfg, netstreamflow.FlagError(err)
	}
	return cfg, cfg.Load(fs, environ)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	path := file(t, "publish-timeout: 1s\ntopic: from-file\ngroup: from-file\npartitions: 3\nmax-body: 2048\n")
	cfg, err := load(t, []string{"--publish-timeout", "3s", "--config", path},
		[]string{"NETSTREAMFLOW_PUBLISH_TIMEOUT=2s", "NETSTREAMFLOW_TOPIC=from-env", "NETSTREAMFLOW_CONFIG=" + file(t, "group: other\nlisten: 127.0.0.1:1"), "HOME=/x"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.PublishTimeout != 3*time.Second || cfg.Topic != "from-env" || cfg.Group != "from-file" || cfg.Partitions != 3 ||
		cfg.MaxBody != 2048 || cfg.Listen != "127.0.0.1:5000" {
		t.Errorf("%+v", cfg)
	}
}

func TestFileNamedByTheEnvironment(t *testing.T) {
	cfg, err := load(t, nil, []string{"NETSTREAMFLOW_CONFIG=" + file(t, "listen: 127.0.0.1:0\nlog-level: debug")})
	if err != nil || cfg.Listen != "127.0.0.1:0" {
		t.Errorf("%v %v", cfg.Listen, err)
	}
	if _, err := load(t, []string{"--config", file(t, "")}, nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestSecretFromFile(t *testing.T) {
	secret := file(t, "s3cret\n")
	cfg, err := load(t, nil, []string{"NETSTREAMFLOW_BROKER_PASSWORD_FILE=" + secret})
	if err != nil || cfg.BrokerPassword != "file:"+secret {
		t.Errorf("%q %v", cfg.BrokerPassword, err)
	}
}

func TestBadSettingsNameTheSettingTheValueAndWhatIsAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		args, environ []string
		file          string
		want          []string
		never         string
	}{
		"unknown flag":            {args: []string{"--wat"}, want: []string{"--wat", "unknown"}},
		"flag without value":      {args: []string{"--topic"}, want: []string{"--topic", "needs a value"}},
		"bad number":              {args: []string{"--partitions", "many"}, want: []string{"--partitions", `"many"`, "1 to 10000"}},
		"number out of range":     {args: []string{"--partitions=0"}, want: []string{"--partitions", `"0"`, "1 to 10000"}},
		"bad duration":            {args: []string{"--publish-timeout", "10"}, want: []string{"--publish-timeout", `"10"`, "10s"}},
		"bad spool":               {args: []string{"--spool=perhaps"}, want: []string{"--spool", `"perhaps"`, "true or false"}},
		"bad level":               {args: []string{"--log-level", "loud"}, want: []string{"--log-level", `"loud"`, "debug, info, warn or error"}},
		"bad format":              {args: []string{"--log-format", "xml"}, want: []string{"--log-format", `"xml"`, "text or json"}},
		"bad address":             {args: []string{"--listen", "5000"}, want: []string{"--listen", `"5000"`, "host:port"}},
		"bad port":                {args: []string{"--listen", "127.0.0.1:70000"}, want: []string{"--listen", "0 to 65535"}},
		"bad topic":               {args: []string{"--topic", "a b"}, want: []string{"--topic", `"a b"`, "a-z"}},
		"empty group":             {args: []string{"--group", ""}, want: []string{"--group", "empty"}},
		"unknown variable":        {environ: []string{"NETSTREAMFLOW_TOPICS=x"}, want: []string{"NETSTREAMFLOW_TOPICS", "not a setting"}},
		"bad variable":            {environ: []string{"NETSTREAMFLOW_PARTITIONS=x"}, want: []string{"NETSTREAMFLOW_PARTITIONS", `"x"`, "1 to 10000"}},
		"file of what is public":  {environ: []string{"NETSTREAMFLOW_TOPIC_FILE=/x"}, want: []string{"NETSTREAMFLOW_TOPIC_FILE", "not a setting"}},
		"secret file of no name":  {environ: []string{"NETSTREAMFLOW_BROKER_PASSWORD_FILE="}, want: []string{`NETSTREAMFLOW_BROKER_PASSWORD_FILE ""`, "readable file"}},
		"unknown key":             {file: "topics: x", want: []string{"topics in ", "not a setting"}},
		"bad key":                 {file: "partitions: x", want: []string{"partitions in ", `"x"`, "1 to 10000"}},
		"nested key":              {file: "topic:\n  name: x", want: []string{"topic in ", "single value"}},
		"key twice":               {file: "topic: a\ntopic: b", want: []string{"--config", "settings.yaml"}},
		"not YAML":                {file: "{", want: []string{"--config", "settings.yaml", "YAML"}},
		"not a mapping":           {file: "- a", want: []string{"--config", "settings.yaml", "YAML"}},
		"file missing":            {args: []string{"--config", "/no/such"}, want: []string{"--config", `"/no/such"`, "no such file"}},
		"password in the URL":     {args: []string{"--broker", "kafka://u:s3cret@h:%zz"}, want: []string{"--broker", "URL"}, never: "s3cret"},
		"password with a slash":   {args: []string{"--rate-limit-store", "redis://u:s3/s3cret?@h/0"}, want: []string{"--rate-limit-store", "redis://…@h/0"}, never: "s3"},
		"password without a host": {args: []string{"--store", "postgres:u:s3cret@h/x", "--store", ":"}, want: []string{"--store"}, never: "s3cret"},
		"words for a URL":         {args: []string{"--store", "host=h password=s3cret"}, want: []string{"--store", "…", "URL"}, never: "s3cret"},
		"three dashes":            {args: []string{"---broker-password=s3cret"}, want: []string{"---broker-password", "--name=value"}, never: "s3cret"},
		"password of the issuer":  {args: []string{"--jwt-jwks-url", "https://u:s3cret@h/x"}, want: []string{"--jwt-jwks-url", "https://…@h/x"}, never: "s3cret"},
		"empty file name":         {args: []string{"--config", ""}, want: []string{"--config", `""`, "readable file"}},
		"variable in small":       {environ: []string{"NETSTREAMFLOW_log_level=debug"}, want: []string{"NETSTREAMFLOW_log_level", "not a setting"}},
		"two lines":               {environ: []string{"NETSTREAMFLOW_A\nB=x"}, want: []string{`"NETSTREAMFLOW_A\nB"`, "not a setting"}},
		"variable and its file": {environ: []string{"NETSTREAMFLOW_BROKER_PASSWORD=s3cret", "NETSTREAMFLOW_BROKER_PASSWORD_FILE=settings_test.go"},
			want: []string{"NETSTREAMFLOW_BROKER_PASSWORD_FILE", "NETSTREAMFLOW_BROKER_PASSWORD:", "only one"}, never: "s3cret"},
		"bad variable behind a flag": {args: []string{"--log-level", "info"}, environ: []string{"NETSTREAMFLOW_LOG_LEVEL=loud"}, want: []string{"NETSTREAMFLOW_LOG_LEVEL", `"loud"`}},
		"bad key behind a variable":  {file: "log-level: loud", environ: []string{"NETSTREAMFLOW_LOG_LEVEL=info"}, want: []string{"log-level in ", `"loud"`}},
		"nothing for a key":          {file: "topic: ~", want: []string{"topic in ", "single value", "dead letters"}},
		"two documents":              {file: "topic: a\n---\nfoo: 1", want: []string{"--config", "more than one document"}},
		"key of two lines":           {file: "\"a\\nb\": 1", want: []string{`"a\nb in `, "not a setting"}},
		"file of a variable missing": {environ: []string{"NETSTREAMFLOW_CONFIG=/no/such"}, want: []string{`NETSTREAMFLOW_CONFIG "/no/such"`, "no such file"}},
		"file of no name":            {environ: []string{"NETSTREAMFLOW_CONFIG="}, want: []string{`NETSTREAMFLOW_CONFIG ""`, "readable file"}},
		"file behind a file missing": {file: "topic: a", environ: []string{"NETSTREAMFLOW_CONFIG=/no/such"}, want: []string{`NETSTREAMFLOW_CONFIG "/no/such"`, "no such file"}},
		"folder behind a file":       {file: "topic: a", environ: []string{"NETSTREAMFLOW_CONFIG=."}, want: []string{`NETSTREAMFLOW_CONFIG "."`, "directory"}},
		"no settings behind a file":  {file: "topic: a", environ: []string{"NETSTREAMFLOW_CONFIG=settings_test.go"}, want: []string{`NETSTREAMFLOW_CONFIG "settings_test.go"`, "YAML"}},
		"bad key behind a file": {file: "topic: a", environ: []string{"NETSTREAMFLOW_CONFIG=" + file(t, "group: a\npartitions: x")},
			want: []string{"partitions in ", `"x"`, "1 to 10000"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file != "" {
				c.args = append(c.args, "--config", file(t, c.file))
			}
			_, err := load(t, c.args, c.environ)
			var fault *netstreamflow.SettingError
			if !errors.As(err, &fault) {
				t.Fatalf("error %v", err)
			}
			line := err.Error()
			for _, want := range c.want {
				if !strings.Contains(line, want) {
					t.Errorf("%q lacks %q", line, want)
				}
			}
			if strings.Contains(line, "\n") || c.never != "" && strings.Contains(line, c.never) {
				t.Errorf("%q", line)
			}
		})
	}
}

// TestFileSaysWhatItSays has texts in the file that YAML takes for numbers and the like.
func TestFileSaysWhatItSays(t *testing.T) {
	for _, text := range []string{"0123", "1_000", "0x1F", "1.10", "TRUE", "1e3", ".inf", "123456789012345678901234567890.12345678901234567890"} {
		for _, written := range []string{text, `"` + text + `"`, "'" + text + "' # a comment", "|-\n  " + text} {
			cfg, err := load(t, []string{"--config", file(t, "partitions: 3 # three\ngroup: "+written+"\nbroker-password: "+written+"\n")}, nil)
			if err != nil || cfg.Group != text || cfg.BrokerPassword != text || cfg.Partitions != 3 {
				t.Errorf("%s: %q, %q, %v", written, cfg.Group, cfg.BrokerPassword, err)
			}
		}
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "{}", "\ufeff", "\ufeff# nothing"} {
		if _, err := load(t, []string{"--config", file(t, empty)}, nil); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

// TestByteOrderMarkIsNoPartOfAKey reads what some editors write.
func TestByteOrderMarkIsNoPartOfAKey(t *testing.T) {
	cfg, err := load(t, []string{"--config", file(t, "\ufefftopic: a\r\ngroup: b\r\n")}, nil)
	if err != nil || cfg.Topic != "a" || cfg.Group != "b" {
		t.Errorf("%q, %q, %v", cfg.Topic, cfg.Group, err)
	}
}

// TestURLsSayWhatIsWrong has texts that a URL cannot be, and no secret in what is said of them.
func TestURLsSayWhatIsWrong(t *testing.T) {
	for given, want := range map[string]string{
		"kafka://h:9092,":                  "without an empty host",
		"kafka://,h:9092":                  "the address \"\"",
		"kafka://a:1,,b:2":                 "the address \"\"",
		"kafka://u@,h:9092,?sasl=PLAIN":    "without an empty host",
		"kafka://h:9092, g:9092":           "no spaces",
		"kafka://h:port":                   "ports are numbers",
		"kafka://h:9092,g:s3cret":          "ports are numbers",
		"kafka://h:9092,[::1]:9092":        "IPv6",
		"kafka://[::1":                     "IPv6",
		"kafka://h%41:9092":                "hosts have none",
		"kafka://h:9092\n":                 "control characters",
		"kafka://u:s3cret/x@h:9092":        "percent-encoded",
		"kafka://u:s3cret#x@h:9092":        "percent-encoded",
		"kafka://u:s3cret x@h:9092":        "no spaces",
		"127.0.0.1:9092":                   "begins with a scheme",
		"s3cret":                           "begins with a scheme",
		"sqlite-log:/data/100%.db":         "written %25",
		"kafka://h:9092/?client-id=a\x00b": "control characters",
	} {
		cfg, err := load(t, []string{"--broker", given, "--store", "memory:"}, nil)
		if err == nil {
			cfg.DataDir = t.TempDir()
			_, _, err = netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
		}
		var fault *netstreamflow.SettingError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", given, err, want)
		}
		if err != nil && strings.Contains(strings.TrimPrefix(err.Error(), fmt.Sprintf("--broker %q", given)), "s3cret") {
			t.Errorf("%q: %v", given, err)
		}
	}
	if _, err := load(t, []string{"--store", "sqlite:/data/100%.db"}, nil); err != nil {
		t.Errorf("a path with a percent sign: %v", err)
	}
}

// TestFaultsNameTheSettingAsItWasGiven has values that nothing but a driver, or another setting, refuses.
func TestFaultsNameTheSettingAsItWasGiven(t *testing.T) {
	path := file(t, "broker: kafka://h:9092?wat=1\nstore: \"memory:\"\n")
	limits := file(t, "rate-limit-fail: closed")
	for _, c := range []struct {
		args, environ []string
		want          string
	}{
		{[]string{"--broker", "kafka://h:0"}, nil, `--broker "kafka://h:0" has the address`},
		{nil, []string{"NETSTREAMFLOW_BROKER=kafka://h:0"}, `NETSTREAMFLOW_BROKER "kafka://h:0" has the address`},
		{nil, []string{"NETSTREAMFLOW_BROKER=nats://h"}, `NETSTREAMFLOW_BROKER "nats://h" must begin with one of`},
		{nil, []string{"NETSTREAMFLOW_STORE=postgres:x"}, `NETSTREAMFLOW_STORE "postgres:x" must be postgres://`},
		{[]string{"--config", path}, nil, "broker in " + path + ` "kafka://h:9092?…" has the unknown parameter "wat"`},
		{[]string{"--config", limits}, nil, "rate-limit-fail in " + limits + ` "closed" needs`},
		{nil, []string{"NETSTREAMFLOW_SPOOL=true"}, `NETSTREAMFLOW_SPOOL "true" must be false`},
		{nil, []string{"NETSTREAMFLOW_JWT_AUDIENCE=me"}, `NETSTREAMFLOW_JWT_AUDIENCE "me" needs --auth jwt`},
		{nil, []string{"NETSTREAMFLOW_DATA_DIR=settings_test.go/x"}, `NETSTREAMFLOW_DATA_DIR "settings_test.go/x" must be a folder`},
		{nil, []string{"NETSTREAMFLOW_AUTH=jwt"}, `--jwt-audience "" must name this service`},
		{[]string{"--broker", "memory:"}, []string{"NETSTREAMFLOW_BROKER=nats://h"}, `NETSTREAMFLOW_BROKER "nats://h" must begin with one of`},
		{[]string{"--store", "memory:", "--config", file(t, "")}, []string{"NETSTREAMFLOW_CONFIG=" + file(t, "store: \"oracle:\"")}, `settings.yaml "oracle:" must begin with one of`},
	} {
		cfg, err := load(t, c.args, c.environ)
		if err != nil {
			t.Errorf("%q %q: %v", c.args, c.environ, err)
			continue
		}
		if cfg.DataDir == netstreamflow.DefaultConfig().DataDir {
			cfg.DataDir = t.TempDir()
		}
		_, _, err = netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
		var fault *netstreamflow.SettingError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %v, want %q", c.args, c.environ, err, c.want)
		}
	}
}

// TestNothingIsOpenedForABadSetting looks for what a bad URL leaves behind.
func TestNothingIsOpenedForABadSetting(t *testing.T) {
	cfg := netstreamflow.DefaultConfig()
	cfg.DataDir, cfg.Store = filepath.Join(t.TempDir(), "data"), "oracle:"
	if _, _, err := netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn()); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(cfg.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is made: %v", err)
	}
}

func TestNewRefusesWhatDriversRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*netstreamflow.Config)
		want  []string
		never string
	}{
		"unknown broker":            {set: func(c *netstreamflow.Config) { c.Broker = "rabbit://h" }, want: []string{"--broker", `"rabbit://h"`, "kafka:", "memory:"}},
		"password after the scheme": {set: func(c *netstreamflow.Config) { c.Store = "postgres:host=h password=s3cret" }, want: []string{"--store", `"postgres:…"`}, never: "s3cret"},
		"unknown store":             {set: func(c *netstreamflow.Config) { c.Store = "oracle:x" }, want: []string{"--store", `"oracle:x"`, "memory:"}},
		"password in the URL": {set: func(c *netstreamflow.Config) { c.Broker = "kafka://u:s3cret@h:9092" },
			want: []string{"--broker", "broker-password"}, never: "s3cret"},
		"unknown parameter": {set: func(c *netstreamflow.Config) { c.Broker = "kafka://h:9092?pasword=s3cret" },
			want: []string{"--broker", "pasword"}, never: "s3cret"},
		"folder that is a file": {set: func(c *netstreamflow.Config) { c.DataDir = "settings_test.go" }, want: []string{"--data-dir", `"settings_test.go"`, "must be a folder"}},
		"file in a file":        {set: func(c *netstreamflow.Config) { c.Store = "sqlite:settings_test.go/x.db" }, want: []string{"--store", "settings_test.go/x.db", "must be in a folder"}},
		"bad value from Go":     {set: func(c *netstreamflow.Config) { c.Partitions = -1 }, want: []string{"--partitions", `"-1"`}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := netstreamflow.DefaultConfig()
			cfg.DataDir = t.TempDir()
			c.set(&cfg)
			_, _, err := netstreamflow.New(t.Context(), cfg, netstreamflow.BuiltIn())
			var fault *netstreamflow.SettingError
			if !errors.As(err, &fault) {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if c.never != "" && strings.Contains(err.Error(), c.never) {
				t.Errorf("%q", err)
			}
		})
	}
}

func TestConfigurationPageIsCurrent(t *testing.T) {
	const path = "docs/configuration.md"
	want := netstreamflow.ConfigurationPage()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the code says: go test . -run TestConfigurationPageIsCurrent -update (%v)", path, err)
	}
}

// TestSpoolNeedsABrokerElsewhere refuses a spool in front of what is on this machine itself.
func TestSpoolNeedsABrokerElsewhere(t *testing.T) {
	for broker, want := range map[string]string{
		"memory:": "memory:", "SQLITE-LOG:/tmp/log.db": "sqlite-log:", "kafka://127.0.0.1:1": "", "confluent://127.0.0.1:1": "",
	} {
		cfg, err := load(t, []string{"--spool", "--broker", broker}, nil)
		if err != nil || !cfg.Spool {
			t.Fatalf("got %t, %v", cfg.Spool, err)
		}
		err = cfg.Validate()
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", broker, err)
			}
			continue
		}
		if _, ok := errors.AsType[*netstreamflow.SettingError](err); !ok || !strings.Contains(err.Error(), "--spool") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got the error %v", broker, err)
		}
	}
}
