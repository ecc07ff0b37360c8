package secret

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// fetchTimeout is how long a secret may take to come, its retries included.
	fetchTimeout = 10 * time.Second
	// localEvery is how often the sources on this machine are asked.
	localEvery = time.Second
)

// Named is the secret of a setting.
type Named struct {
	// Setting is the setting's name, Scheme that of the reference.
	Setting, Scheme string
	Source          Source
	// Check says what is wrong with a value that would take the place of the one in use; nil takes all.
	Check func(value string) error
}

// Keeper holds the current values of secrets. It is safe for concurrent use.
type Keeper struct {
	logger *slog.Logger
	kept   map[string]*kept

	end     context.CancelFunc
	running sync.WaitGroup
}

type kept struct {
	Named

	current atomic.Pointer[string]
	// fault is why there is no newer value than the current one, nil where there is.
	fault atomic.Pointer[fetchError]
}

// Keep fetches the secrets, and then fetches them again each refresh (0: never) until Close; those that are on this machine it
// looks at each second. A secret that cannot be fetched at first is an error, which names the setting and the scheme, is one
// line and holds no secret; later the last value stays.
func Keep(ctx context.Context, secrets []Named, refresh time.Duration, logger *slog.Logger) (*Keeper, error) {
	k := &Keeper{logger: logger, kept: make(map[string]*kept, len(secrets))}
	for _, n := range secrets {
		k.kept[n.Setting] = &kept{Named: n}
	}
	if err := k.fetchAll(ctx); err != nil {
		return nil, err
	}
	ctx, k.end = context.WithCancel(context.WithoutCancel(ctx))
	k.again(ctx, localEvery, func(s *kept) bool { return IsLocal(s.Source) })
	if refresh > 0 {
		k.again(ctx, refresh, func(s *kept) bool { return !IsLocal(s.Source) && s.Scheme != "" })
	}
	return k, nil
}

// Current returns what tells the setting's secret as it is now, nil where the setting has none. The function costs next to
// nothing: ask it whenever the secret is used.
func (k *Keeper) Current(setting string) func() string {
	s := k.kept[setting]
	if s == nil {
		return nil
	}
	return func() string { return *s.current.Load() }
}

// Fault tells why there is no newer value of the setting's secret than the current one, nil where there is.
func (k *Keeper) Fault(setting string) error {
	if s := k.kept[setting]; s != nil {
		if fault := s.fault.Load(); fault != nil {
			return fault
		}
	}
	return nil
}

// Close ends the fetching. The last values stay.
func (k *Keeper) Close() {
	k.end()
	k.running.Wait()
}

// fetchAll fetches all secrets at once.
func (k *Keeper) fetchAll(ctx context.Context) error {
	var fetching sync.WaitGroup
	faults := make(chan error, len(k.kept))
	for _, s := range k.kept {
		fetching.Go(func() {
			if _, fault := s.fetch(ctx); fault != nil {
				faults <- fault
			}
		})
	}
	fetching.Wait()
	close(faults)
	return <-faults // nil where there is none
}

// again fetches the secrets that are meant at each interval.
func (k *Keeper) again(ctx context.Context, every time.Duration, isMeant func(*kept) bool) {
	var meant []*kept
	for _, s := range k.kept {
		if isMeant(s) {
			meant = append(meant, s)
		}
	}
	if len(meant) == 0 {
		return
	}
	k.running.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for _, s := range meant {
				k.refetch(ctx, s)
			}
		}
	})
}

// refetch keeps the value where there is no newer one that can be used, and says so once.
func (k *Keeper) refetch(ctx context.Context, s *kept) {
	changed, err := s.fetch(ctx)
	if ctx.Err() != nil {
		return
	}
	last := s.fault.Swap(err)
	switch {
	case err != nil && last == nil:
		k.logger.WarnContext(ctx, "a secret cannot be fetched again: the last one stays in use", "setting", s.Setting, "error", err)
	case changed:
		k.logger.InfoContext(ctx, "a secret has changed", "setting", s.Setting, "scheme", s.Scheme)
	case err == nil && last != nil:
		k.logger.InfoContext(ctx, "a secret can be fetched again", "setting", s.Setting)
	}
}

func (s *kept) fetch(ctx context.Context) (changed bool, _ *fetchError) {
	found, err := Get(ctx, s.Source)
	last := s.current.Load()
	if err == nil && last != nil && s.Check != nil {
		if err = s.Check(found); err != nil {
			err = fmt.Errorf("the new one cannot be used: %w", err)
		}
	}
	if err != nil {
		return false, &fetchError{setting: s.Setting, scheme: s.Scheme, cause: err}
	}
	s.current.Store(&found)
	return last != nil && *last != found, nil
}

// fetchError is a secret that could not be fetched.
type fetchError struct {
	setting, scheme string
	cause           error
}

// maxReason bounds what is told of a cause, some of which are long.
const maxReason = 600

// Error is one line, whatever the SDKs say.
func (e *fetchError) Error() string {
	reason := strings.Join(strings.Fields(e.cause.Error()), " ")
	if errors.Is(e.cause, context.DeadlineExceeded) {
		reason = fmt.Sprintf("there is no answer within %s: %s", fetchTimeout, reason)
	}
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return fmt.Sprintf("--%s: its secret (%s:) cannot be had: %s", e.setting, e.scheme, reason)
}

func (e *fetchError) Unwrap() error { return e.cause }
