package netstreamflow

import (
	"log/slog"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/limit"
	"github.com/netstreamflow/netstreamflow/adapters/secret"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/ports/rest"
)

// Values of RateLimitFail.
const (
	failOpen   = "open"
	failClosed = "closed"
)

// Limits of the settings of load.
const (
	maxUnits       = 1_000_000
	maxWindow      = 24 * time.Hour
	maxInFlight    = 1_000_000
	maxMemory      = 1 << 40
	maxConnections = 1_000_000
)

// checkLimits refuses what has no effect without a limit: somebody may rely on there being one.
func (c *Config) checkLimits() error {
	if c.RateLimitPublish.Units+c.RateLimitRead.Units > 0 {
		return nil
	}
	const needsLimit = "needs --rate-limit-publish or --rate-limit-read: there is nothing to limit without"
	if c.RateLimitStore != "" {
		return c.setting("rate-limit-store").fault(needsLimit)
	}
	if c.RateLimitFail == failClosed {
		return c.setting("rate-limit-fail").fault(needsLimit)
	}
	return nil
}

func provideLoad(cfg valid) *rest.Load {
	return rest.NewLoad(rest.Bounds{Requests: cfg.MaxRequests, Bodies: cfg.MaxBodyMemory, Connections: cfg.MaxConnections})
}

// provideLimitStore opens the store of the rate limits, nil where this process keeps them itself.
func provideLimitStore(cfg valid, k *secret.Keeper, logger *slog.Logger) (*limit.Redis, func(), error) {
	if cfg.RateLimitStore == "" {
		return nil, func() {}, nil
	}
	r, err := limit.OpenRedis(cfg.RateLimitStore, k.Current("rate-limit-store-password"), cfg.breaker(), logger.With("part", "limiter"))
	if err != nil {
		return nil, nil, cfg.openFault("rate-limit-store", err)
	}
	return r, func() {
		if err := r.Close(); err != nil {
			logger.Error("closing the store of the rate limits failed", "error", err)
		}
	}, nil
}

func provideLimits(cfg valid, shared *limit.Redis) rest.Limits {
	return rest.Limits{
		Publish: newLimiter("publish", cfg.RateLimitPublish, shared), Query: newLimiter("query", cfg.RateLimitRead, shared),
		FailClosed: cfg.RateLimitFail == failClosed,
	}
}

// newLimiter returns nil where there is no limit.
func newLimiter(name string, q application.Quota, shared *limit.Redis) application.Limiter {
	switch {
	case q.Units == 0:
		return nil
	case shared != nil:
		return shared.Limiter(name, q)
	}
	return limit.NewMemory(q)
}

// provideGuard puts the guard in front of what is observed, which then is what the store does.
func provideGuard(cfg valid, s application.Store, t *telemetry, logger *slog.Logger) *store.Guard {
	return store.NewGuard(&observedReader{Reader: s, telemetry: t}, store.GuardOptions{
		Timeout: cfg.QueryTimeout, Queries: cfg.MaxQueries, Retries: cfg.QueryRetries, Breaker: cfg.breaker(),
		Logger: logger.With("part", "store"),
	})
}
