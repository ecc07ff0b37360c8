package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/domain"
	"github.com/netstreamflow/netstreamflow/test/extras"
)

const (
	childArgument = "child"
	bareServer    = "bare net/http"
	startTimeout  = 60 * time.Second
)

// child is a server under load.
type child struct {
	cmd  *exec.Cmd
	in   io.Closer
	addr string
}

// start runs this program again as the server, which ends when its standard input does. With extras it does all that it can.
func start(ctx context.Context, server string, with *extras.Extras) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childArgument, server)
	if with != nil {
		cmd.Args = append(cmd.Args, with.Flags...)
		cmd.Env = append(os.Environ(), with.Environ...)
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server did not come up: %w", err)
	}
	c := &child{cmd: cmd, in: in, addr: addr[:len(addr)-1]}
	return c, awaitReady(ctx, c.addr, server)
}

func (c *child) stop() error {
	if err := c.in.Close(); err != nil {
		return err
	}
	return c.cmd.Wait()
}

// serveChild serves until standard input ends; it prints its address first.
func serveChild(ctx context.Context, server string, flags []string) error {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if server == bareServer {
		return serveBare(ctx)
	}
	cfg := netstreamflow.DefaultConfig()
	cfg.AdminListen = ""
	fs := pflag.NewFlagSet(childArgument, pflag.ContinueOnError)
	cfg.AddFlags(fs)
	if err := fs.Parse(flags); err != nil {
		return err
	}
	cfg.Listen, cfg.Broker, cfg.Store = "127.0.0.1:0", server, "memory:"
	cfg.Topic = "bench-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	cfg.LogOutput = io.Discard
	app, cleanup, err := netstreamflow.New(ctx, cfg, netstreamflow.BuiltIn())
	if err != nil {
		return err
	}
	defer cleanup()
	go func() {
		<-app.Listening()
		fmt.Println(app.Addr())
	}()
	return app.Run(ctx)
}

// serveBare is the least that a net/http server can do with such a request: read it and answer with a new id.
func serveBare(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{ReadHeaderTimeout: startTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"message":"Event published successfully","eventId":"`+domain.NewUUID(time.Now()).String()+`"}`)
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func awaitReady(ctx context.Context, addr, server string) error {
	if server == bareServer {
		return nil
	}
	return poll(ctx, func() (bool, error) {
		status, _, err := get(ctx, "http://"+addr+"/health/ready")
		return status == http.StatusOK, err
	})
}

// poll asks until done, with a pause in between, and gives up after the start time-out.
func poll(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func get(ctx context.Context, url string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read only
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// verify waits until every user's events are as many as were answered 202, and says how many are stored.
func verify(ctx context.Context, addr string, r *result) (string, error) {
	total := 0
	for user, accepted := range r.accepted {
		var got struct{ Count int }
		err := poll(ctx, func() (bool, error) {
			_, body, err := get(ctx, "http://"+addr+"/api/events/user/"+user)
			if err != nil {
				return false, err
			}
			if err := json.Unmarshal(body, &got); err != nil {
				return false, err
			}
			return got.Count >= accepted, nil
		})
		if err != nil {
			return "", fmt.Errorf("%s has %d events, %d were accepted: %w", user, got.Count, accepted, err)
		}
		if got.Count != accepted+r.unknown[user] && r.unknown[user] == 0 {
			return "", fmt.Errorf("%s has %d events, %d were accepted", user, got.Count, accepted)
		}
		total += got.Count
	}
	return strconv.Itoa(total), nil
}
