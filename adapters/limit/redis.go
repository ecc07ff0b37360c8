package limit

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/netstreamflow/netstreamflow/adapters/circuit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// patience is how long a request waits for the server. A question takes well below a millisecond.
	patience = 100 * time.Millisecond
	// connections bounds the pool. Questions that are asked at once share one.
	connections = 8
	// maxQuestions bounds those that wait for an answer. One more than that fails.
	maxQuestions = 10_000
	// keyPrefix is that of all keys.
	keyPrefix = "netstreamflow:limit:"
)

//go:embed take.lua
var takeScript string

// Redis is a server that keeps what callers owe, for all instances that name it. It is safe for concurrent use.
type Redis struct {
	client *redis.Client
	// questions go to the server in pipelines: while one is under way the next gathers.
	questions *redis.AutoPipeliner
	script    *redis.Script
	breaker   *circuit.Breaker
}

// CheckURL says what is wrong with the URL of a Redis; the error is a [domain.ErrInvalid] that repeats nothing of it.
func CheckURL(address string) error {
	_, err := options(address, nil)
	return err
}

// OpenRedis prepares the use of the server at redis://[USER@]HOST:PORT[/DATABASE], or rediss:// for TLS. It does not connect:
// a server that is away is met by the questions, and then left alone as the breaker's policy says. Each connection asks for the
// password anew.
func OpenRedis(address string, password func() string, breaker circuit.Policy, logger *slog.Logger) (*Redis, error) {
	o, err := options(address, password)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(&logging.VoidLogger{}) // it is one for all, and says what the errors say
	client := redis.NewClient(o)
	questions, err := client.AsyncAutoPipeline()
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &Redis{
		client: client, questions: questions,
		script:  redis.NewScript(takeScript),
		breaker: circuit.New("the store of the rate limits", breaker, logger),
	}, nil
}

func options(address string, password func() string) (*redis.Options, error) {
	u, err := url.Parse(address)
	const form = "must be redis://HOST:PORT/DATABASE, or rediss:// for TLS"
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, domain.Invalid("", form)
	}
	if _, there := u.User.Password(); there {
		return nil, domain.Invalid("", form+" without a password, which is a setting of its own")
	}
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, domain.Invalid("", form)
	}
	if user := o.Username; password != nil {
		o.CredentialsProvider = func() (string, string) { return user, password() }
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.ContextTimeoutEnabled = true
	o.MaxRetries, o.DialerRetries = -1, 1
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize = connections, connections, 1
	o.AutoPipelineOptions = redis.DefaultAutoPipelineOptions()
	o.AutoPipelineOptions.MaxQueuedCommands = maxQuestions
	o.ConnMaxIdleTime = 5 * time.Minute
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// Limiter returns a limiter of the quota, whose numbers must be positive. Those of one name share what callers owe, on all
// instances.
func (r *Redis) Limiter(name string, q application.Quota) *Shared {
	return &Shared{bucket: bucket{q}, redis: r, prefix: keyPrefix + name + ":"}
}

// State is that of the circuit breaker in front of the server.
func (r *Redis) State() circuit.State { return r.breaker.State() }

// Ping returns nil when the server answers, without regard to the circuit breaker. It ends within a tenth of a second.
func (r *Redis) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: %w", errAway, reason(err))
	}
	return nil
}

// Close closes the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Shared is a limiter whose numbers are in a [Redis]. It implements [application.Limiter].
type Shared struct {
	bucket

	redis  *Redis
	prefix string
}

var _ application.Limiter = (*Shared)(nil)

var errAway = fmt.Errorf("%w: the store of the rate limits is away", domain.ErrUnavailable)

// Quota implements [application.Limiter].
func (s *Shared) Quota() application.Quota { return s.bucket.Quota }

// Take implements [application.Limiter]. It does not end with ctx, but within a tenth of a second.
func (s *Shared) Take(ctx context.Context, caller string, n, held int) (application.Grant, error) {
	if !s.redis.breaker.Allow() {
		return application.Grant{}, errAway
	}
	need, cost := s.price(n, held)
	allowed, owed, err := s.ask(ctx, caller, need, cost)
	if err != nil {
		s.redis.breaker.Failure()
		return application.Grant{}, fmt.Errorf("%w: %w", errAway, err)
	}
	s.redis.breaker.Success()
	return s.grant(owed, n, allowed), nil
}

// ask runs the script. What it finds out is of use to others than the caller.
func (s *Shared) ask(ctx context.Context, caller string, need, cost time.Duration) (allowed bool, owed time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	key, args := s.key(caller), []any{microseconds(need), microseconds(cost), microseconds(s.Window)}
	question := redis.NewCmd(ctx, append([]any{"evalsha", s.redis.script.Hash(), 1, key}, args...)...)
	err = s.redis.questions.Submit(ctx, question).WaitContext(ctx)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		question = s.redis.script.Eval(ctx, s.redis.client, []string{key}, args...)
		err = question.Err()
	}
	if err != nil {
		return false, 0, reason(err)
	}
	answer, err := question.Int64Slice()
	if err != nil {
		return false, 0, reason(err)
	}
	if len(answer) != 2 {
		return false, 0, errors.New("it answers something else than it should")
	}
	return answer[0] == 1, time.Duration(answer[1]) * time.Microsecond, nil
}

// key tells callers apart without showing who they are, whatever the length of their names.
func (s *Shared) key(caller string) string {
	hash := sha256.Sum256([]byte(caller))
	return s.prefix + base64.RawURLEncoding.EncodeToString(hash[:])
}

func microseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Microsecond), 'f', 3, 64)
}

// reason leaves what a server says of the user or the password out of errors.
func reason(err error) error {
	for _, refusal := range []string{"NOAUTH", "WRONGPASS", "NOPERM"} {
		if strings.HasPrefix(err.Error(), refusal) {
			return fmt.Errorf("it refuses the user or the password (%s)", refusal)
		}
	}
	return err
}
