package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// databaseTimeout bounds one statement of administration.
const databaseTimeout = 30 * time.Second

// prepareDatabase makes a database for the run, which goes with it. The service gets the password as it must: not in the
// URL.
func (r *run) prepareDatabase(ctx context.Context) error {
	u, err := url.Parse(r.servers.postgres)
	if err != nil {
		return fmt.Errorf("NSF_TEST_POSTGRES: %w", err)
	}
	name := strings.ReplaceAll(r.name, "-", "_")
	if err := r.administer(ctx, "CREATE DATABASE "+name); err != nil {
		return err
	}
	r.onCleanUp(func() error {
		return r.administer(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
	})
	if password, ok := u.User.Password(); ok {
		r.environ = append(r.environ, "NETSTREAMFLOW_STORE_PASSWORD="+password)
		u.User = url.User(u.User.Username())
	}
	u.Path = "/" + name
	r.storeURL = u.String()
	return nil
}

// administer runs one statement on the server.
func (r *run) administer(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.servers.postgres)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's error says it all
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
