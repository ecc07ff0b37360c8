package netstreamflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/netstreamflow/netstreamflow/adapters/auth"
	"github.com/netstreamflow/netstreamflow/ports/admin"
)

// adminGrace is how long what is being answered there may take at the end.
const adminGrace = time.Second

// scrapesAtOnce bounds them.
const scrapesAtOnce = 4

// adminListener serves those who run the service, from before the first request to behind the last one.
type adminListener struct {
	cfg       valid
	logger    *slog.Logger
	metrics   *metrics
	collector *collector
	health    http.Handler

	server *http.Server
	addr   net.Addr
	cancel context.CancelFunc
	served chan error
}

// newAdminListener returns nil where the setting is empty.
func newAdminListener(cfg valid, t *telemetry, c *collector, health http.Handler, logger *slog.Logger) *adminListener {
	if t.metrics == nil {
		return nil
	}
	t.metrics.registry.MustRegister(c)
	return &adminListener{cfg: cfg, logger: logger, metrics: t.metrics, collector: c, health: health, served: make(chan error, 1)}
}

// start listens. A default address that is taken is none: several instances may run on one machine, and only one has it.
func (l *adminListener) start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.cfg.AdminListen)
	if err != nil && l.isOptional() {
		l.logger.WarnContext(ctx, "no metrics: the default admin address is taken; choose another with --admin-listen", "addr", l.cfg.AdminListen, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on the admin address %s: %w", l.cfg.AdminListen, err)
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.addr, l.cancel = listener.Addr(), cancel
	o := admin.Options{
		Metrics: promhttp.HandlerFor(l.metrics.registry, promhttp.HandlerOpts{
			ErrorLog:          slog.NewLogLogger(titled{l.logger.Handler(), "metrics cannot be told"}, slog.LevelWarn),
			EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce, Registry: l.metrics.registry,
		}),
		Health: l.health,
	}
	if !l.cfg.InsecureAdmin {
		o.IsLocal = auth.IsLoopback
	}
	l.server = admin.NewServer(base, o)
	l.server.ErrorLog = slog.NewLogLogger(titled{l.logger.Handler(), serverTrouble}, slog.LevelWarn)
	go func() { l.served <- l.server.Serve(listener) }()
	l.logger.InfoContext(ctx, "admin listening", "addr", l.addr.String())
	return nil
}

// isOptional says whether the address is nobody's choice.
func (l *adminListener) isOptional() bool {
	return !l.cfg.adminGiven && l.cfg.AdminListen == DefaultConfig().AdminListen
}

// stop ends what is being answered, and waits for it.
func (l *adminListener) stop() error {
	if l.server == nil {
		return nil
	}
	defer l.collector.close()
	l.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = l.server.Close() // a scrape that is cut off is nobody's loss
	}
	if served := <-l.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve the admin listener: %w", served))
	}
	return err
}
