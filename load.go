package netstreamflow

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
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
	l := &loader{byName: make(map[string]*setting), shadows: make(map[string]*setting), origins: make(map[string]string)}
	c.origins = l.origins
	shadow := DefaultConfig()
	for _, s := range shadow.settings() {
		l.shadows[s.name] = s
	}
	for _, s := range c.settings() {
		l.byName[s.name] = s
		if f := fs.Lookup(s.name); f != nil && f.Changed {
			l.origins[s.name] = "flag --" + s.name
		}
	}
	if f := fs.Lookup(configFlag); f != nil && f.Changed {
		l.file, l.fileFrom = f.Value.String(), "--"+configFlag
	}
	for _, variable := range environ {
		if name, val, _ := strings.Cut(variable, "="); strings.HasPrefix(name, envPrefix) && !ofClients[name] {
			if err := l.variable(name, val); err != nil {
				return err
			}
		}
	}
	if l.fileFrom != "" {
		if err := l.read(); err != nil {
			return err
		}
	}
	c.passedOver = l.passedOver
	c.adminGiven = l.origins["admin-listen"] != ""
	return nil
}

// loader fills in what has not been given by something that goes before.
type loader struct {
	byName map[string]*setting
	// shadows take what has been given by something that goes before: it must be good all the same.
	shadows map[string]*setting
	// passedOver are they, each with one value.
	passedOver []*setting
	// origins tell where a setting that was given comes from.
	origins map[string]string
	// file is the one with settings, fileFrom what names it, "" where nothing does. fileIsOver says that another file goes before it.
	file, fileFrom string
	fileIsOver     bool
}

func (l *loader) variable(spelling, val string) error {
	if spelling == variableOf(configFlag) {
		return l.fileVariable(spelling, val)
	}
	for _, s := range l.byName {
		switch variable := variableOf(s.name); {
		case spelling == variable:
			return l.take(s, spelling, val, fromEnvironment+spelling)
		case s.secret && spelling == variable+envFileSuffix:
			if val == "" {
				return &SettingError{Setting: spelling, Given: true, Detail: localSecrets[schemeFile]}
			}
			return l.take(s, spelling, schemeFile+":"+filepath.Clean(val), fromEnvironment+spelling)
		}
	}
	return &SettingError{Setting: spelling, Detail: notASetting}
}

// fileVariable takes the file of settings that the environment names. Where a flag names another one, nothing of it is used, but
// all in it must be good.
func (l *loader) fileVariable(spelling, path string) error {
	if l.fileFrom == "" {
		l.file, l.fileFrom = path, spelling
		return nil
	}
	over := *l
	over.file, over.fileFrom, over.fileIsOver = path, spelling, true
	err := over.read()
	l.passedOver = over.passedOver
	return err
}

// notASetting is what is wrong with a name.
const notASetting = "is not a setting: what netstreamflow serve --help lists is allowed"

// variableOf is a setting's environment variable.
func variableOf(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// spellingOf is a setting's name as it was given.
func spellingOf(name, origin string) string {
	if variable, is := strings.CutPrefix(origin, fromEnvironment); is {
		return variable
	}
	if path, is := strings.CutPrefix(origin, fromFile); is {
		return keyOf(name, path)
	}
	return "--" + name
}

// keyOf is a setting's key in the file.
func keyOf(name, path string) string { return name + " in " + path }

// take sets s unless something that goes before has.
func (l *loader) take(s *setting, spelling, val, origin string) error {
	given := l.origins[s.name]
	if strings.HasPrefix(given, fromEnvironment) && strings.HasPrefix(origin, fromEnvironment) {
		return &SettingError{Setting: spelling, Detail: "is given beside " + strings.TrimPrefix(given, fromEnvironment) + ": only one of them is allowed"}
	}
	isOver := given != "" || l.fileIsOver
	if isOver {
		s = l.shadows[s.name]
	}
	if err := s.set(val); err != nil {
		return s.faultOf(spelling, val, err.Error())
	}
	if isOver {
		l.passedOver = append(l.passedOver, s.with(spelling, val))
		return nil
	}
	l.origins[s.name] = origin
	return nil
}

// byteOrderMark is what some editors begin a file with.
const byteOrderMark = "\ufeff"

func (l *loader) read() error {
	content, err := readFile(l.file)
	if err != nil {
		return &SettingError{Setting: l.fileFrom, Value: l.file, Given: true, Detail: "must name a readable file: " + reason(err)}
	}
	file, err := parser.ParseBytes(bytes.TrimPrefix(content, []byte(byteOrderMark)), 0)
	if err != nil {
		line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return l.notSettings(line)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if body != nil && doc.Body != nil {
			return l.notSettings("it has more than one document")
		}
		if doc.Body != nil {
			body = doc.Body
		}
	}
	switch body := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil
	case *ast.MappingNode:
		for _, pair := range body.Values {
			if err := l.key(pair); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingValueNode:
		return l.key(body)
	}
	return l.notSettings("it is no mapping")
}

func (l *loader) notSettings(why string) error {
	return &SettingError{Setting: l.fileFrom, Value: l.file, Given: true, Detail: "must be a YAML file of settings: " + why}
}

func (l *loader) key(pair *ast.MappingValueNode) error {
	name := pair.Key.GetToken().Value
	spelling := keyOf(name, l.file)
	s := l.byName[name]
	if s == nil {
		return &SettingError{Setting: spelling, Detail: notASetting}
	}
	val, ok := scalar(pair.Value)
	if !ok {
		return &SettingError{Setting: spelling, Detail: "must be a single value: " + strings.ReplaceAll(s.usage, "`", "")}
	}
	return l.take(s, spelling, val, fromFile+l.file)
}

// scalar is the text of a value as it is written in the file: what looks like a number may be a password.
func scalar(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.TagNode:
		return scalar(n.Value)
	}
	return "", false
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
