// Package store holds what is the same for every store: how a driver is opened. Each driver is a folder of its own.
package store

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// Open makes a store of what follows the scheme and its colon in a store URL. A server that is away is met with
// [domain.ErrUnavailable] by the calls that need it. An unusable URL is a [domain.ErrInvalid] that never repeats a secret.
type Open func(ctx context.Context, rest string, o Options) (application.Store, error)

// Options are what every driver is told beside its URL.
type Options struct {
	// DataDir is the folder for stores that keep files, unless their URL names another one.
	DataDir string
	// Claim makes a folder and locks it against other processes. A store that keeps files calls it with their folder before it
	// opens one.
	Claim func(folder string) error
	// Password tells what goes with the user name of the URL; nil where nothing does. It may change: it is asked whenever a
	// connection is made, from any goroutine.
	Password func() string
	Logger   *slog.Logger
}

// Driver returns the driver that the URL's scheme names, and what follows the scheme.
func Driver(drivers map[string]Open, rawURL string) (open Open, rest string, err error) {
	scheme, rest, found := strings.Cut(rawURL, ":")
	if open := drivers[strings.ToLower(scheme)]; found && open != nil {
		return open, rest, nil
	}
	names := slices.Sorted(maps.Keys(drivers))
	for i, n := range names {
		names[i] = n + ":"
	}
	return nil, "", domain.Invalid("", fmt.Sprintf("must begin with one of %s", strings.Join(names, ", ")))
}

// OpenURL opens the driver that the URL's scheme names.
func OpenURL(ctx context.Context, drivers map[string]Open, rawURL string, o Options) (application.Store, error) {
	open, rest, err := Driver(drivers, rawURL)
	if err != nil {
		return nil, err
	}
	return open(ctx, rest, o)
}
