package secret

import (
	"context"
	"fmt"
	"os"
	"regexp"

	"github.com/netstreamflow/netstreamflow/domain"
)

// variable is a secret in an environment variable of this process.
type variable string

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// OpenEnvironment is the [Open] of env:NAME.
func OpenEnvironment(reference string) (Source, error) {
	name := after(reference)
	if !variableName.MatchString(name) {
		return nil, malformed("env", "env:NAME")
	}
	return variable(name), nil
}

// Local implements [Local].
func (v variable) Local() bool { return true }

// Fetch implements [Source].
func (v variable) Fetch(context.Context) (string, error) {
	found, set := os.LookupEnv(string(v))
	if !set {
		return "", fmt.Errorf("%w: the environment variable is not set", domain.ErrNotFound)
	}
	return found, nil
}
