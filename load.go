package netstreamflow

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

const (
	envPrefix     = "NETSTREAMFLOW_"
	envFileSuffix = "_FILE"
	maxFileBytes  = 1 << 20

	// What the origin of a setting begins with.
	fromEnvironment = "environment "
	fromFile        = "file "
)

// ofClients are variables of the commands that call a running instance: they may be in the environment of all.
var ofClients = map[string]bool{envPrefix + "TOKEN": true, envPrefix + "TOKEN_FILE": true}

// Load completes c, whose flags have been parsed, from the environment and from the file that --config or
// NETSTREAMFLOW_CONFIG names. A flag goes before the environment, the environment before the file, the file before the
// default. An unknown variable or key, and a bad value, is a [*SettingError].
func (c *Config) Load(fs *pflag.FlagSet, environ []string) error {
	l := &loader{flags: fs, byName: make(map[string]*setting), origins: make(map[string]string)}
	c.origins = l.origins
	for _, s := range c.settings() {
		l.byName[s.name] = s
		if f := fs.Lookup(s.name); f != nil && f.Changed {
			l.origins[s.name] = "flag --" + s.name
		}
	}
	if f := fs.Lookup(configFlag); f != nil && f.Changed {
		l.file = f.Value.String()
	}
	for _, variable := range environ {
		if name, val, _ := strings.Cut(variable, "="); strings.HasPrefix(name, envPrefix) && !ofClients[name] {
			if err := l.variable(name, val); err != nil {
				return err
			}
		}
	}
	if l.file != "" {
		if err := l.read(); err != nil {
			return err
		}
	}
	c.adminGiven = l.origins["admin-listen"] != ""
	return nil
}

// loader fills in what has not been given by something that goes before.
type loader struct {
	flags  *pflag.FlagSet
	byName map[string]*setting
	// origins tell where a setting that was given comes from.
	origins map[string]string
	file    string
}

func (l *loader) variable(spelling, val string) error {
	name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(spelling, envPrefix), "_", "-"))
	if name == configFlag {
		if l.file == "" {
			l.file = val
		}
		return nil
	}
	if s := l.byName[name]; s != nil {
		return l.take(s, spelling, val, fromEnvironment+spelling)
	}
	s := l.byName[strings.TrimSuffix(name, "-file")]
	if !strings.HasSuffix(spelling, envFileSuffix) || s == nil || !s.secret {
		return &SettingError{Setting: spelling, Detail: "is not a setting: see netstreamflow serve --help"}
	}
	if err := checkReadable(val); err != nil {
		return &SettingError{Setting: spelling, Value: val, Given: true, Detail: "must name a readable file: " + reason(err)}
	}
	return l.take(s, spelling, schemeFile+":"+filepath.Clean(val), fromEnvironment+spelling)
}

// checkReadable reads the file, unless it is a pipe or the like, which gives its content only once.
func checkReadable(path string) error {
	info, err := os.Stat(path)
	if err == nil && (info.Mode().IsRegular() || info.IsDir()) {
		_, err = readFile(path)
	}
	return err
}

// take sets s unless something that goes before has.
func (l *loader) take(s *setting, spelling, val, origin string) error {
	if l.origins[s.name] != "" {
		return nil
	}
	if err := s.set(val); err != nil {
		return s.faultOf(spelling, val, err.Error())
	}
	l.origins[s.name] = origin
	return nil
}

func (l *loader) read() error {
	content, err := readFile(l.file)
	if err != nil {
		return &SettingError{Setting: "--" + configFlag, Value: l.file, Given: true, Detail: "must name a readable file: " + reason(err)}
	}
	keys := map[string]any{}
	if len(bytes.TrimSpace(content)) > 0 {
		if err := yaml.Unmarshal(content, &keys); err != nil {
			line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
			return &SettingError{Setting: "--" + configFlag, Value: l.file, Given: true, Detail: "must be a YAML file of settings: " + line}
		}
	}
	for key, val := range keys {
		if err := l.key(key, val); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) key(name string, val any) error {
	spelling := name + " in " + l.file
	s := l.byName[name]
	if s == nil {
		return &SettingError{Setting: spelling, Detail: "is not a setting: see netstreamflow serve --help"}
	}
	switch val.(type) {
	case nil, map[string]any, []any:
		return &SettingError{Setting: spelling, Detail: "must be a single value"}
	}
	return l.take(s, spelling, fmt.Sprint(val), fromFile+l.file)
}

// readFile reads a small file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("it is over %d bytes", maxFileBytes)
	}
	return content, err
}

// reason is the error without the path, which the line names already.
func reason(err error) string {
	if i := strings.LastIndex(err.Error(), ": "); i >= 0 {
		return err.Error()[i+2:]
	}
	return err.Error()
}
