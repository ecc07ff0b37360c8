package netstreamflow

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow/domain"
)

// setting is one setting of a [Config] under its one name, of which the flag, the environment variable and the key of the
// file are spellings.
type setting struct {
	name   string
	usage  string
	secret bool
	// spelling is the name as it was given, that of the flag where nothing is known of it.
	spelling string
	// redact hides what must not be shown of a value, if anything.
	redact func(string) string
	value
}

// value is where a setting is kept. get and set speak text; the error of set says what is allowed.
type value struct {
	kind string
	get  func() string
	set  func(string) error
}

// SettingError is a setting that cannot be used.
type SettingError struct {
	// Setting is the name as it was given: a flag, an environment variable, or a key and its file.
	Setting string
	// Value is what was given, without secrets; Given is false where there is none, or it must not be shown.
	Value string
	Given bool
	// Detail says what is allowed.
	Detail string
}

// Error is one line that names the setting, the value and what is allowed.
func (e *SettingError) Error() string {
	name := e.Setting
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		name = quoted
	}
	if !e.Given {
		return name + " " + e.Detail
	}
	return fmt.Sprintf("%s %q %s", name, e.Value, e.Detail)
}

// Is reports that every SettingError is a [domain.ErrInvalid].
func (e *SettingError) Is(target error) bool { return target == domain.ErrInvalid }

func (s *setting) fault(detail string) *SettingError {
	return s.faultOf(s.spelling, s.get(), detail)
}

// with returns the setting with a value of its own, which need not be the one in use.
func (s *setting) with(spelling, val string) *setting {
	one := *s
	one.spelling, one.get = spelling, func() string { return val }
	return &one
}

func (s *setting) faultOf(spelling, given, detail string) *SettingError {
	e := &SettingError{Setting: spelling, Value: given, Given: !s.secret, Detail: strings.TrimPrefix(detail, "invalid: ")}
	if s.redact != nil {
		e.Value = s.redact(given)
	}
	return e
}

// flag is a setting as a flag.
type flag struct{ *setting }

func (f flag) String() string {
	if f.setting == nil || f.secret {
		return ""
	}
	return f.get()
}

func (f flag) Set(s string) error {
	if err := f.set(s); err != nil {
		return f.faultOf("--"+f.name, s, err.Error())
	}
	return nil
}

func (f flag) Type() string { return f.kind }

// AddFlags defines the flags of all settings; those named first, or all where none is named. Parsing sets c.
func (c *Config) AddFlags(fs *pflag.FlagSet, names ...string) {
	for _, s := range c.settings() {
		if len(names) == 0 || slices.Contains(names, s.name) {
			f := fs.VarPF(flag{s}, s.name, "", s.usage)
			if s.kind == kindBool {
				f.NoOptDefVal = "true"
			}
		}
	}
	fs.String(configFlag, "", "YAML `file` with settings; flags and environment variables go before it")
}

const configFlag = "config"

// kindBool is the kind of a setting whose flag needs no value.
const kindBool = "bool"

// FlagError turns an error of flag parsing into a [*SettingError].
func FlagError(err error) error {
	var known *SettingError
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var odd *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &unknown):
		return &SettingError{Setting: "--" + unknown.GetSpecifiedName(), Detail: "is unknown: what --help lists is allowed"}
	case errors.As(err, &bare):
		_, usage := pflag.UnquoteUsage(bare.GetFlag())
		return &SettingError{Setting: "--" + bare.GetSpecifiedName(), Detail: "needs a value: " + usage}
	case errors.As(err, &odd):
		name, _, _ := strings.Cut(odd.GetSpecifiedFlag(), "=") // what follows may be a secret
		return &SettingError{Setting: name, Detail: "is not written as a flag: --name value or --name=value is allowed"}
	}
	return &SettingError{Setting: "flags:", Detail: err.Error()}
}

func text(p *string, check func(string) error) value {
	return value{kind: "string", get: func() string { return *p }, set: func(s string) error {
		if check != nil {
			if err := check(s); err != nil {
				return err
			}
		}
		*p = s
		return nil
	}}
}

func integer[T int | int64](p *T, least, most int64) value {
	return value{kind: "int", get: func() string { return strconv.FormatInt(int64(*p), 10) }, set: func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < least || n > most {
			return domain.Invalid("", fmt.Sprintf("must be a whole number from %d to %d", least, most))
		}
		*p = T(n)
		return nil
	}}
}

func boolean(p *bool) value {
	return value{kind: kindBool, get: func() string { return strconv.FormatBool(*p) }, set: func(s string) error {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return domain.Invalid("", "must be true or false")
		}
		*p = b
		return nil
	}}
}

func duration(p *time.Duration, least, most time.Duration) value {
	return value{kind: "duration", get: func() string { return p.String() }, set: func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d < least || d > most {
			return domain.Invalid("", fmt.Sprintf("must be a duration from %s to %s, such as 500ms, 10s or 1m30s", least, most))
		}
		*p = d
		return nil
	}}
}

// orZero is the value of p that may also be 0, for none.
func orZero[T int64 | time.Duration](p *T, v value) value {
	set := v.set
	v.set = func(s string) error {
		if s == "0" || s == "0s" {
			*p = 0
			return nil
		}
		if err := set(s); err != nil {
			return domain.Invalid("", strings.Replace(strings.TrimPrefix(err.Error(), "invalid: "), "must be", "must be 0 or", 1))
		}
		return nil
	}
	return v
}

func level(p *slog.Level) value {
	return value{kind: "level", get: func() string { return strings.ToLower(p.String()) }, set: func(s string) error {
		for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			if strings.EqualFold(s, l.String()) {
				*p = l
				return nil
			}
		}
		return domain.Invalid("", "must be debug, info, warn or error")
	}}
}

func choice(p *string, allowed ...string) value {
	return value{kind: "string", get: func() string { return *p }, set: func(s string) error {
		if !slices.Contains(allowed, s) {
			return domain.Invalid("", "must be "+strings.Join(allowed, " or "))
		}
		*p = s
		return nil
	}}
}
