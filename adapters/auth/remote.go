package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// refreshEvery is how old keys may get, and with that how long one that the issuer has withdrawn is still good.
	refreshEvery = 5 * time.Minute
	// After a failure the next try comes after retryFirst, then twice as long each time up to retryMost.
	retryFirst = time.Second
	retryMost  = time.Minute
	// askEvery is how often an unknown key id may have the keys fetched before their time.
	askEvery = 10 * time.Second
	// waitForKeys is how long a request waits for keys that are being fetched.
	waitForKeys = 3 * time.Second
	// maxWaiting bounds how many do: anybody can make up an id that is waited for.
	maxWaiting = 64

	fetchTimeout    = 10 * time.Second
	maxFetchedBytes = 1 << 20
	maxHeaderBytes  = 64 << 10
)

// remoteKeys are an issuer's keys, fetched in the background. It is safe for concurrent use.
type remoteKeys struct {
	issuer, jwks string
	client       *http.Client
	logger       *slog.Logger
	askEvery     time.Duration
	retryFirst   time.Duration

	ask    chan struct{}
	cancel context.CancelFunc
	ended  chan struct{}

	waiting atomic.Int64

	mu       sync.Mutex
	keys     keySet
	fetched  time.Time
	fault    error
	fetching bool
	tried    time.Time
	// outcome is closed when the fetch that is under way, or else the next one, has ended.
	outcome chan struct{}
}

// newRemoteKeys starts to fetch the keys of the JWK set, or those that the issuer names where jwks is "".
func newRemoteKeys(issuer, jwks string, logger *slog.Logger) *remoteKeys {
	r := unstartedKeys(issuer, jwks, logger)
	r.start()
	return r
}

func unstartedKeys(issuer, jwks string, logger *slog.Logger) *remoteKeys {
	// Nothing is kept open from one fetch to the next, and nothing leads elsewhere.
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSHandshakeTimeout: fetchTimeout, ResponseHeaderTimeout: fetchTimeout, DisableKeepAlives: true,
		MaxResponseHeaderBytes: maxHeaderBytes, ForceAttemptHTTP2: true,
	}
	return &remoteKeys{
		issuer: issuer, jwks: jwks, logger: logger, askEvery: askEvery, retryFirst: retryFirst,
		client: &http.Client{
			Transport: transport, Timeout: fetchTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		ask: make(chan struct{}, 1), ended: make(chan struct{}), outcome: make(chan struct{}),
		fetching: true, // it is about to
	}
}

func (r *remoteKeys) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go r.run(ctx)
}

func (r *remoteKeys) close() {
	r.cancel()
	<-r.ended
}

// run fetches the keys when their time has come, or when asked to, until ctx ends.
func (r *remoteKeys) run(ctx context.Context) {
	defer close(r.ended)
	retry := r.retryFirst
	for {
		err := r.fetch(ctx)
		r.settle(err)
		wait := refreshEvery
		if err != nil {
			wait, retry = retry, min(2*retry, retryMost)
		} else {
			retry = r.retryFirst
		}
		// Instances that were started together do not ask together.
		timer := time.NewTimer(wait - rand.N(wait/5+1)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-r.ask:
			timer.Stop()
		}
		r.mu.Lock()
		r.fetching = true
		r.mu.Unlock()
	}
}

// fetch gets the keys.
func (r *remoteKeys) fetch(ctx context.Context) error {
	where := r.jwks
	if where == "" {
		var err error
		if where, err = r.discover(ctx); err != nil {
			return err
		}
	}
	content, err := r.get(ctx, where)
	if err != nil {
		return err
	}
	keys, err := readJWKS(content)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 || r.fault != nil {
		r.logger.Info("the keys of tokens were fetched", "from", where, "keys", len(keys))
	}
	r.keys, r.fetched = keys, time.Now()
	return nil
}

// settle ends a fetch.
func (r *remoteKeys) settle(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		r.logger.Warn("the keys of tokens cannot be fetched", "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.tried, r.fetching = err, time.Now(), false
	close(r.outcome)
	r.outcome = make(chan struct{})
}

// discover asks the issuer where its keys are (OpenID Connect Discovery 1.0, section 4).
func (r *remoteKeys) discover(ctx context.Context) (string, error) {
	where := strings.TrimSuffix(r.issuer, "/") + "/.well-known/openid-configuration"
	content, err := r.get(ctx, where)
	if err != nil {
		return "", err
	}
	var found struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(content, &found); err != nil {
		return "", fmt.Errorf("%s is not JSON: %w", where, err)
	}
	if found.Issuer != r.issuer {
		return "", fmt.Errorf("%s names the issuer %.256q, not %q", where, found.Issuer, r.issuer)
	}
	if err := checkNamed(r.issuer, found.JWKS); err != nil {
		return "", fmt.Errorf("%s has a jwks_uri that %w", where, err)
	}
	return found.JWKS, nil
}

// checkNamed says what is wrong with the URL of keys that an issuer names: it must be as well protected as the issuer, and one on
// another machine has no say in what is asked on this one.
func checkNamed(issuer, jwks string) error {
	if err := CheckURL(jwks); err != nil {
		return err
	}
	from, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	to, err := url.Parse(jwks)
	if err != nil {
		return err
	}
	switch {
	case from.Scheme == "https" && to.Scheme != "https":
		return errors.New("must be https, as the issuer is")
	case isHere(to) && !isHere(from):
		return errors.New("must not be on this machine, as the issuer is not")
	}
	return nil
}

// isHere says whether a request to the URL stays on this machine: one to the address that is none ends here, too.
func isHere(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return IsLoopback(u.Hostname()) || ip != nil && ip.IsUnspecified()
}

func (r *remoteKeys) get(ctx context.Context, where string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", where, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxFetchedBytes+1))
	if err == nil && len(content) > maxFetchedBytes {
		err = fmt.Errorf("%s is over %d bytes", where, maxFetchedBytes)
	}
	return content, err
}

func (r *remoteKeys) keysFor(ctx context.Context, id string) (keySet, error) {
	keys, outcome := r.current(id)
	if outcome != nil {
		if !r.wait(ctx, outcome) {
			return nil, errNotFetched // whether the token is good may be known a moment later
		}
		keys, _ = r.current("")
	}
	if len(keys) == 0 {
		return nil, errNotFetched
	}
	return keys, nil
}

var errNotFetched = fmt.Errorf("the keys of tokens have not been fetched: %w", domain.ErrUnavailable)

// wait waits for the end of a fetch, unless enough others do.
func (r *remoteKeys) wait(ctx context.Context, outcome <-chan struct{}) bool {
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxWaiting {
		return false
	}
	timer := time.NewTimer(waitForKeys)
	defer timer.Stop()
	select {
	case <-outcome:
	case <-ctx.Done():
	case <-timer.C:
	}
	return true
}

// current returns the keys, and, where none has the id, the end of a fetch that may bring it.
func (r *remoteKeys) current(id string) (keySet, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys.has(id) {
		return r.keys, nil
	}
	if !r.fetching {
		// Without any keys the next try has its time; with some, anybody can make up an id, so that it must not cost much.
		if len(r.keys) == 0 || time.Since(r.tried) < r.askEvery {
			return r.keys, nil
		}
		r.fetching = true
		select {
		case r.ask <- struct{}{}:
		default: // it has been asked
		}
	}
	return r.keys, r.outcome
}

func (r *remoteKeys) status() KeyStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return KeyStatus{Keys: len(r.keys), Fetched: r.fetched, Err: r.fault}
}

// CheckURL says what is wrong with the URL of an issuer or of its keys: whoever can change the answer can make tokens, so
// that only TLS will do, except on this machine.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	const want = "must be an https URL without user, query and fragment (http is allowed on this machine only)"
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return errors.New(want)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname())) {
		return errors.New(want)
	}
	return nil
}

// IsLoopback says whether a host, given by name or address, is this machine as only its own programs reach it.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
