package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/test/extras"
)

const (
	// publishTimeout is short, so that a broker that is away shows soon.
	publishTimeout  = 3 * time.Second
	shutdownTimeout = 20 * time.Second
	// warmUp is how long the load runs before the harm, coolDown how long it goes on when the harm is over.
	warmUp   = time.Second
	coolDown = time.Second
	// pause is how long a connection of the load waits between an answer and its next request.
	pause = 10 * time.Millisecond
	// recovery is how long the service may take, when the harm is over, to accept an event, and to be ready, and how long it
	// may show nothing more of what it has accepted.
	recovery = 60 * time.Second
)

// options are what the flags say.
type options struct {
	times, users, connections int
	// lasting is how long a harm lasts that lasts.
	lasting time.Duration
	servers servers
	// extras is nil for a service that does its work and nothing else.
	extras *extras.Extras
}

// run is one harm done to one combination.
type run struct {
	options

	combination combination
	harm        harm
	binary      string
	// name is that of the topic, the group and the database; folder holds the log and the data.
	name, folder, dataDir string
	// brokerURL and storeURL are what the service is told.
	brokerURL, storeURL string
	environ, flags      []string
	proxy               proxy
	cleanUps            []func() error

	pool    *pool
	answers *answers
	load    *load

	// harms counts what inflict did; faults is what is broken beside the findings.
	harms    int
	faults   []string
	findings findings
	sent     history
	// extra are events that inflict sent by itself.
	extra history
	took  time.Duration
}

func newRun(o options, c combination, h harm, binary string) (*run, error) {
	folder, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return nil, err
	}
	return &run{
		options: o, combination: c, harm: h, binary: binary, answers: newAnswers(), extra: make(history),
		name: "faults-" + strconv.FormatInt(time.Now().UnixNano(), 36), folder: folder, dataDir: filepath.Join(folder, "data"),
	}, nil
}

func (r *run) onCleanUp(f func() error) { r.cleanUps = append(r.cleanUps, f) }

// fault notes a promise that is broken.
func (r *run) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// execute does everything. What is broken is noted in the run; the error says why there may be more that was not seen.
func (r *run) execute(ctx context.Context) (err error) {
	start := time.Now()
	defer func() {
		r.took = time.Since(start)
		err = errors.Join(err, r.cleanUp())
	}()
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for range max(1, r.harm.services) {
		if _, err := r.pool.startReady(ctx); err != nil {
			return err
		}
	}
	if err := r.underLoad(ctx); err != nil {
		return err
	}
	return r.verify(ctx)
}

func (r *run) prepare(ctx context.Context) error {
	if err := r.prepareBroker(); err != nil {
		return err
	}
	if err := r.prepareStore(ctx); err != nil {
		return err
	}
	if r.harm.prepare != nil {
		if err := r.harm.prepare(ctx, r); err != nil {
			return err
		}
	}
	if r.extras != nil {
		r.flags, r.environ = append(r.flags, r.extras.Flags...), append(r.environ, r.extras.Environ...)
	}
	r.pool = newPool(r.binary, r.folder, serviceEnvironment(r.environ), append([]string{
		"serve", "--listen", "127.0.0.1:0", "--log-format", "json",
		"--broker", r.brokerURL, "--store", r.storeURL, "--data-dir", r.dataDir,
		"--topic", r.name, "--group", r.name,
		"--publish-timeout", publishTimeout.String(), "--shutdown-timeout", shutdownTimeout.String(),
	}, r.flags...))
	return nil
}

// credential is what requests show, "" for nothing.
func (r *run) credential() string {
	if r.extras == nil {
		return ""
	}
	return r.extras.Key
}

// serviceEnvironment is this program's, without settings of the service but those given.
func serviceEnvironment(settings []string) []string {
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NETSTREAMFLOW_") })
	return append(environ, settings...)
}

// underLoad does the harm while events are sent, and waits until they are accepted again.
func (r *run) underLoad(ctx context.Context) error {
	o := loadOptions{connections: r.connections, users: r.users, pause: pause, jumps: r.harm.clock, credential: r.credential()}
	r.load = startLoad(ctx, r.pool, r.answers, o)
	wait(ctx, warmUp)
	err := r.harm.inflict(ctx, r)
	if err == nil {
		err = r.recover(ctx)
	}
	wait(ctx, coolDown)
	r.load.end(recovery)
	r.sent = r.load.history()
	maps.Copy(r.sent, r.extra)
	return err
}

// recover waits until an event is accepted that was sent after the harm.
func (r *run) recover(ctx context.Context) error {
	over := time.Now()
	for r.answers.lastAccepted().Before(over) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(over) > recovery {
			return fmt.Errorf("no event was accepted within %s of the harm's end", recovery)
		}
		wait(ctx, 20*time.Millisecond)
	}
	return nil
}

// verify checks every promise, and all that can be read once more after a graceful end and a new start.
func (r *run) verify(ctx context.Context) error {
	for _, events := range r.sent {
		if e := neverAccepted(events); e != nil {
			r.fault("%s n=%d was not accepted within %s of the end of the load: %s", e.user, e.n, recovery, e.history())
		}
	}
	s := r.pool.pick()
	if s == nil {
		return errors.New("no service is left")
	}
	if err := awaitReady(ctx, s); err != nil {
		return err
	}
	if err := r.read(ctx, s); err != nil {
		return err
	}
	if r.harm.verify != nil {
		if err := r.harm.verify(ctx, r); err != nil {
			return err
		}
	}
	return r.readAgain(ctx)
}

// neverAccepted returns an event that its user went on sending.
func neverAccepted(events []*event) *event {
	for _, e := range events {
		if e.accepted == 0 && e.patient {
			return e
		}
	}
	return nil
}

func (r *run) read(ctx context.Context, s *process) (err error) {
	r.findings, err = verify(ctx, s.address(), r.sent, recovery)
	return err
}

// readAgain ends all services, starts one and reads what it shows.
func (r *run) readAgain(ctx context.Context) error {
	for _, s := range r.pool.all() {
		if err := r.pool.terminate(s); err != nil {
			r.fault("at the end: %v", err)
		}
	}
	if r.findings.broken() > 0 {
		return nil
	}
	s, err := r.pool.startReady(ctx)
	if err != nil {
		return err
	}
	if err := r.read(ctx, s); err != nil {
		return err
	}
	for i := range r.findings.lines() {
		r.fault("finding %d came up only after a graceful end and a new start", i)
	}
	return nil
}

// cleanUp ends and removes what the run has made, but the folder of one that found something.
func (r *run) cleanUp() error {
	if r.pool != nil {
		r.pool.killAll()
		for _, how := range r.pool.crashed() {
			r.fault("the service ended by itself: %s", how)
		}
	}
	var errs []error
	for _, f := range slices.Backward(r.cleanUps) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// broken says that a promise was.
func (r *run) broken() bool {
	return r.findings.broken() > 0 || r.answers.wrongs > 0 || len(r.faults) > 0
}
