package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// foldTimeout bounds one question to the broker.
	foldTimeout = 5 * time.Second
	// foldLook is how often reading that has not come to the end is looked at, foldSilence how long nothing may come before
	// it counts as the end: the last offsets may hold nothing that is delivered.
	foldLook    = 500 * time.Millisecond
	foldSilence = 5 * time.Second
	// foldPrune is how often letters are forgotten that the topic has lost by its retention.
	foldPrune = 30 * time.Second
	// firstFold and longestFold are the pauses after a failure.
	firstFold   = 200 * time.Millisecond
	longestFold = 5 * time.Second
)

// The topic is to be read from its beginning: errAgain says that it is another one, errRest that there is room again for letters
// that found none.
var (
	errAgain = errors.New("the dead-letter topic is another one: it is read from its beginning")
	errRest  = errors.New("there is room for more dead letters: their topic is read once more")
)

// Run reads the topic until ctx ends. It is called once.
func (l *Letters) Run(ctx context.Context) {
	for pause := firstFold; ctx.Err() == nil; {
		begun := time.Now()
		err := l.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errAgain) || errors.Is(err, errRest):
			l.startOver(errors.Is(err, errRest))
			pause = firstFold
			continue
		case time.Since(begun) > longestFold:
			pause = firstFold
		}
		l.logger.WarnContext(ctx, "the dead letters cannot be read, trying again", "topic", l.topic, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestFold)
	}
}

// startOver has the topic read from its beginning; what is known so far answers meanwhile.
func (l *Letters) startOver(forRest bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if forRest {
		l.reading = l.reading.rest()
		return
	}
	l.reading = newLetterIndex(l.index.limit)
}

// follow reads on from where reading stands, until ctx ends, the subscription does, or all is to be read again.
func (l *Letters) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	target, err := l.bounds(ctx)
	if err != nil {
		return err
	}
	subscriber, err := l.log.SubscriberFrom("", func(context.Context, string) (map[int32]int64, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.reading.next(), nil
	})
	if err != nil {
		return err
	}
	defer func() { _ = subscriber.Close() }() // nothing is kept by it
	messages, err := subscriber.Subscribe(ctx, l.topic)
	if err != nil {
		return err
	}
	f := fold{Letters: l, target: target, last: time.Now()}
	return f.run(ctx, messages)
}

func (l *Letters) bounds(ctx context.Context) (map[int32]application.Bounds, error) {
	ctx, cancel := context.WithTimeout(ctx, foldTimeout)
	defer cancel()
	return l.log.Bounds(ctx, l.topic)
}

// fold is one subscription to the topic.
type fold struct {
	*Letters

	// target is where the topic ended when the subscription began.
	target map[int32]application.Bounds
	// done says that it has been read up to there, last when a record came that is before it.
	done bool
	last time.Time
}

func (f *fold) run(ctx context.Context, messages <-chan *message.Message) error {
	look, prune := time.NewTicker(foldLook), time.NewTicker(foldPrune)
	defer look.Stop()
	defer prune.Stop()
	f.look(ctx)
	for {
		var err error
		select {
		case msg, open := <-messages:
			if !open {
				return fmt.Errorf("%w: the subscription has ended", domain.ErrUnavailable)
			}
			err = f.take(msg)
			if len(messages) == 0 {
				f.look(ctx)
			}
		case <-look.C:
			f.look(ctx)
		case <-prune.C:
			err = f.prune(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err = errors.Join(err, f.rest()); err != nil {
			return err
		}
	}
}

// take folds a record in. The error says that, and why, all must be read again.
func (f *fold) take(msg *message.Message) error {
	defer msg.Ack()
	o, known := application.OriginFrom(msg.Context())
	if !known {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.reading
	if x.isBehind(o.Position) {
		return errAgain
	}
	if o.Offset < f.target[o.Partition].Next {
		f.last = time.Now()
	}
	if of, isMark := markOf(msg); isMark {
		x.pass(o.Position)
		x.settle(of)
	} else {
		x.add(letterOf(recordOf(msg)))
	}
	return nil
}

// rest says whether there is room again for letters that found none.
func (f *fold) rest() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done && f.reading.needsRest() {
		return errRest
	}
	return nil
}

// look has what was read answer once it has come to the end.
func (f *fold) look(ctx context.Context) {
	if f.done || !f.reached() && !f.silent(ctx) {
		return
	}
	f.done = true
	f.mu.Lock()
	f.index = f.reading
	open, unlisted := f.index.open, f.index.unlisted
	f.mu.Unlock()
	f.onceReady.Do(func() {
		f.logger.InfoContext(ctx, "dead letters", "open", int64(open)+unlisted, "unlisted", unlisted, "topic", f.topic)
		close(f.ready)
	})
}

// reached says whether reading has come to where the topic ended.
func (f *fold) reached() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, b := range f.target {
		if b.First < b.Next && f.reading.peek(n).next < b.Next {
			return false
		}
	}
	return true
}

// silent says that nothing has come for long although the broker answers.
func (f *fold) silent(ctx context.Context) bool {
	if time.Since(f.last) < foldSilence {
		return false
	}
	f.last = time.Now()
	_, err := f.bounds(ctx)
	return err == nil
}

// prune forgets what the topic has lost. The error says that, and why, all must be read again.
func (f *fold) prune(ctx context.Context) error {
	bounds, err := f.bounds(ctx)
	if err != nil {
		return nil // the subscription goes on when the broker is back
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reading.prune(bounds) {
		return errAgain
	}
	return nil
}
