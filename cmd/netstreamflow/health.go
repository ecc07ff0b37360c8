package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/netstreamflow/netstreamflow"
)

const maxHealthBytes = 64 << 10

func newHealth(environ []string) *cobra.Command {
	cfg := netstreamflow.DefaultConfig()
	var live bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running instance whether it is ready; status 0 when it is, else 1",
		Long: `Ask the instance that listens on --listen whether it is ready (or, with --live, alive), and print its answer. The exit
status is 0 when it is, else 1, as a container's health check wants it. The settings of serve are understood, so that both
can run with the same environment and file.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Load(cmd.Flags(), environ); err != nil {
				return err
			}
			path := "/health/ready"
			if live {
				path = "/health/live"
			}
			return ask(cmd.Context(), "http://"+reachable(cfg.Listen)+path, timeout, cmd.OutOrStdout())
		},
	}
	cfg.AddFlags(cmd.Flags(), "listen")
	cmd.Flags().BoolVar(&live, "live", false, "ask whether the process is alive rather than ready")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how `long` to wait for the answer")
	return cmd
}

// reachable is the address to call for one to listen on: that of every interface is not one to connect to everywhere.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

func ask(ctx context.Context, url string, timeout time.Duration, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := exchange(req, maxHealthBytes)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s\n", res.body); err != nil {
		return err
	}
	if res.code != http.StatusOK {
		return errors.New("not healthy: " + res.status)
	}
	return nil
}

// reply is an answer, with no more of its body than was asked for.
type reply struct {
	code   int
	status string
	body   []byte
}

// exchange makes a request and reads the answer, of which it takes no more than the first limit bytes.
func exchange(req *http.Request, limit int64) (reply, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, fmt.Errorf("no answer: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // nothing can be lost
	body, err := io.ReadAll(io.LimitReader(res.Body, limit))
	if err != nil {
		return reply{}, fmt.Errorf("no whole answer: %w", err)
	}
	return reply{res.StatusCode, res.Status, body}, nil
}
