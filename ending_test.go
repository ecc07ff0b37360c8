package netstreamflow_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// stuckStore never answers whoever asks for an event.
type stuckStore struct {
	application.Store

	asked chan struct{}
}

func (s stuckStore) Event(ctx context.Context, _ domain.UUID) ([]byte, error) {
	close(s.asked)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestAcceptedRequestIsCutOff has the service end while it owes an answer: the consumer ends well, and the end tells of the request.
func TestAcceptedRequestIsCutOff(t *testing.T) {
	cfg := inMemory(t)
	cfg.ShutdownTimeout, cfg.AdminListen = 2*time.Second, ""
	asked, drivers := make(chan struct{}), netstreamflow.BuiltIn()
	drivers.Stores["stuck"] = func(ctx context.Context, rest string, o store.Options) (application.Store, error) {
		inner, err := netstreamflow.BuiltIn().Stores["memory"](ctx, rest, o)
		return stuckStore{inner, asked}, err
	}
	cfg.Store = "stuck:"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	app, cleanup, err := netstreamflow.New(ctx, cfg, drivers)
	if err != nil {
		t.Fatal(err)
	}
	defer cleanup()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	<-app.Listening()
	go func() {
		r, err := http.Get("http://" + app.Addr().String() + "/api/events/0190a0a0-0000-7000-8000-000000000000")
		if err == nil {
			r.Body.Close()
		}
	}()
	<-asked
	stop()
	err = <-ended
	if err == nil || !strings.Contains(err.Error(), "requests in flight were cut off (1)") || strings.Contains(err.Error(), "consumer") {
		t.Errorf("the end: %v", err)
	}
}

// TestEndHandsClientsOver ends the service while clients post, each one request after another on a connection of its own, in all ways
// in which they can: whatever they sent is answered, and no connection is closed without an answer that has said so.
func TestEndHandsClientsOver(t *testing.T) {
	s := startSecure(t, "--tls-self-signed", "--listen-tls", "127.0.0.1:0")
	trusting := func() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } // a client of HTTP/2 changes its own
	plain := func() (net.Conn, error) { return net.Dial("tcp", s.Addr().String()) }
	secure := func() (net.Conn, error) { return tls.Dial("tcp", s.AddrTLS().String(), trusting()) }
	var accepted atomic.Int64
	var posting sync.WaitGroup
	for range 16 {
		for name, dial := range map[string]func() (net.Conn, error){"HTTP": plain, "HTTPS": secure} {
			posting.Go(func() {
				if err := postUntilTold(dial, &accepted); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		posting.Go(func() {
			if err := postUntilRefused(clientWith(t, trusting()), "https://"+s.AddrTLS().String(), &accepted); err != nil {
				t.Errorf("HTTP/2: %v", err)
			}
		})
	}
	until(t, "load", func() bool { return accepted.Load() > 1000 })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	posting.Wait()
}

// postUntilTold posts until an answer says that the connection closes. Another connection is not to be had then.
func postUntilTold(dial func() (net.Conn, error), accepted *atomic.Int64) error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for told := false; !told; {
		if _, err := fmt.Fprintf(c, "POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len(smallEvent), smallEvent); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		w, err := http.ReadResponse(answers, nil)
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		if err := count(w, accepted); err != nil {
			return err
		}
		told = w.Close
	}
	if another, err := dial(); err == nil {
		another.Close()
		return errors.New("a new connection is taken")
	}
	return nil
}

// postUntilRefused posts until the client finds that it can make no other connection.
func postUntilRefused(c *http.Client, url string, accepted *atomic.Int64) error {
	for {
		w, err := c.Post(url+"/api/events", "application/json", strings.NewReader(smallEvent))
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		if err := count(w, accepted); err != nil {
			return err
		}
	}
}

func count(w *http.Response, accepted *atomic.Int64) error {
	defer w.Body.Close()
	if _, err := io.Copy(io.Discard, w.Body); err != nil || w.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answer: %s %w", w.Status, err)
	}
	accepted.Add(1)
	return nil
}
