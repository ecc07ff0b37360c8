package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	connectTimeout = 5 * time.Second
	maxReaders     = 8
	// maxWriters is one that records and one that expires.
	maxWriters = 2
	// maxIdle is how long a connection that nobody uses is kept.
	maxIdle = 5 * time.Minute
)

// sessionParameters are those of the URL that the driver hands on to the server. It refuses a session with one that it does not know,
// which would be taken for a server that is away.
var sessionParameters = []string{"application_name", "client_encoding", "datestyle", "options", "search_path", "timezone"}

// parse reads what follows the scheme and its colon. The driver's own errors may repeat the password.
func parse(rest string, o store.Options) (*pgxpool.Config, error) {
	if !strings.HasPrefix(rest, "//") {
		return nil, domain.Invalid("", "must be postgres://USER@HOST:PORT/DATABASE")
	}
	address := "postgres:" + rest
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		detail := "cannot be read: it must be postgres://USER@HOST:PORT/DATABASE with parameters that PostgreSQL's clients know"
		var file *fs.PathError
		if errors.As(err, &file) {
			detail += fmt.Sprintf(" (%s: %v)", file.Path, file.Err)
		}
		return nil, domain.Invalid("", detail)
	}
	for parameter := range cfg.ConnConfig.RuntimeParams {
		if !slices.Contains(sessionParameters, strings.ToLower(parameter)) {
			return nil, domain.Invalid("", fmt.Sprintf("has the parameter %q, which is none of PostgreSQL's clients; options=-c NAME=VALUE sets one of the server's", parameter))
		}
	}
	if o.Password != nil {
		cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			c.Password = o.Password()
			return nil
		}
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	if !names(address, "pool_max_conns") {
		cfg.MaxConns = maxReaders
	}
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	cfg.MaxConnIdleTime = maxIdle
	cfg.PingTimeout = connectTimeout
	name(cfg.ConnConfig)
	return cfg, nil
}

// names says whether the URL has the parameter.
func names(address, parameter string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Query().Has(parameter)
}

// name tells the server's administrator who it is.
func name(cfg *pgx.ConnConfig) {
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "netstreamflow"
	}
}

// What a session is told at its beginning, in milliseconds where there is no unit. The server ends a session whose client
// is gone or stands still, with its locks.
const (
	session = `SET jit = off;
		SET idle_in_transaction_session_timeout = '8s';
		SET tcp_keepalives_idle = 10;
		SET tcp_keepalives_interval = 5;
		SET tcp_keepalives_count = 3;
		SET tcp_user_timeout = '30s';`

	// plans leaves the planner only the index that a statement is made for: it has no statistics, or old ones, after many
	// events came at once.
	plans = `SET plan_cache_mode = force_generic_plan;
		SET enable_seqscan = off;
		SET enable_bitmapscan = off;
		SET enable_sort = off;
		SET enable_incremental_sort = off;
		SET enable_hashjoin = off;
		SET enable_mergejoin = off;`

	readerSession = session + plans + `
		SET default_transaction_isolation = 'repeatable read';
		SET default_transaction_read_only = on;
		SET statement_timeout = '60s'`

	// A commit that was answered must be on the disk, whatever the server's default is.
	writerSession = session + plans + `
		SET default_transaction_isolation = 'read committed';
		SET default_transaction_read_only = off;
		SET lock_timeout = '10s';
		SET statement_timeout = '30s';
		SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`
)

// connections makes a pool whose sessions begin with the statements. It connects when it is used.
func connections(ctx context.Context, cfg *pgxpool.Config, size int32, statements string) (*pgxpool.Pool, error) {
	cfg = cfg.Copy()
	cfg.MaxConns = size
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return conn.PgConn().Exec(ctx, statements).Close()
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// current returns a copy that has the password as it is now.
func current(ctx context.Context, cfg *pgxpool.Config) (*pgx.ConnConfig, error) {
	c := cfg.ConnConfig.Copy()
	if cfg.BeforeConnect == nil {
		return c, nil
	}
	return c, cfg.BeforeConnect(ctx, c)
}

// closedWith returns a copy whose connections are closed when the context ends, whatever they wait for.
func closedWith(ctx context.Context, cfg *pgx.ConnConfig) *pgx.ConnConfig {
	cfg = cfg.Copy()
	dial := cfg.DialFunc
	cfg.DialFunc = func(dialling context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(dialling, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
	return cfg
}
