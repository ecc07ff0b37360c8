package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// letterTimeout bounds what is done with one letter, or with a page of them.
const letterTimeout = 15 * time.Second

// Letters shows dead letters and has them processed again, or dropped. Its methods are safe for concurrent use; those that
// requeue or drop wait for each other, so that letters of one key keep their order.
type Letters struct {
	box  LetterBox
	turn chan struct{}
	now  func() time.Time
}

// NewLetters returns the use case. With a nil box, as for a broker whose log cannot be read again, everything is
// [errors.ErrUnsupported].
func NewLetters(box LetterBox) *Letters {
	return &Letters{box: box, turn: make(chan struct{}, 1), now: time.Now}
}

// begin returns the context of a call.
func (l *Letters) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if l.box == nil {
		return nil, nil, fmt.Errorf("%w: the broker's log cannot be read again", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, letterTimeout)
	return ctx, cancel, nil
}

// take is begin for a call that changes something: it also waits for the others.
func (l *Letters) take(ctx context.Context) (context.Context, context.CancelFunc, error) {
	ctx, cancel, err := l.begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	select {
	case l.turn <- struct{}{}:
		return ctx, func() {
			<-l.turn
			cancel()
		}, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, fmt.Errorf("%w: other dead letters are being requeued or dropped", domain.ErrUnavailable)
	}
}

// List returns a page of the open letters.
func (l *Letters) List(ctx context.Context, q LetterQuery) (LetterPage, error) {
	if err := q.validate(); err != nil {
		return LetterPage{}, err
	}
	ctx, cancel, err := l.begin(ctx)
	if err != nil {
		return LetterPage{}, err
	}
	defer cancel()
	return l.box.Find(ctx, q)
}

// Show returns one letter, also one that is settled, or a [domain.ErrNotFound].
func (l *Letters) Show(ctx context.Context, id string) (WholeLetter, error) {
	ctx, cancel, err := l.begin(ctx)
	if err != nil {
		return WholeLetter{}, err
	}
	defer cancel()
	return l.read(ctx, id)
}

func (l *Letters) read(ctx context.Context, id string) (letter WholeLetter, err error) {
	at, err := ParseLetterID(id)
	if err != nil {
		return letter, err
	}
	found := false
	err = l.box.Read(ctx, []Position{at}, func(w WholeLetter) bool {
		letter, found = w, true
		return false
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: no dead letter has this id", domain.ErrNotFound)
	}
	return letter, err
}

// Requeue has one letter processed again. It returns false when that, or dropping it, was done before. After an error the letter
// may have been requeued all the same; as it then stays open, a second call does it again, and the store has its event once.
func (l *Letters) Requeue(ctx context.Context, id, by string) (done bool, err error) {
	ctx, release, err := l.take(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	letter, err := l.read(ctx, id)
	if err != nil || letter.Settled {
		return false, err
	}
	// A caller that goes away must not leave the letter half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letterTimeout)
	defer cancel()
	return true, EachError(l.requeue(ctx, []WholeLetter{letter}, by), 1)(0)
}

// requeue requeues letters of different keys, and returns the error of each.
func (l *Letters) requeue(ctx context.Context, letters []WholeLetter, by string) error {
	errs := make(PublishError, len(letters))
	sent := l.send(ctx, letters, errs)
	if len(sent) == 0 {
		return errs
	}
	settled := make([]Letter, len(sent))
	for i, place := range sent {
		settled[i] = letters[place].Letter
	}
	each := EachError(l.box.Settle(ctx, settled, Requeued, by), len(sent))
	for i, place := range sent {
		if err := each(i); err != nil {
			errs[place] = fmt.Errorf("requeued, but it stays open, as that could not be noted: %w", err)
		}
	}
	return errs.OrNil()
}

// send publishes the records of the letters that are whole, and returns the places of those that have been; errs gets why the others
// have not.
func (l *Letters) send(ctx context.Context, letters []WholeLetter, errs PublishError) (sent []int) {
	var whole []WholeLetter
	var places []int
	for i, letter := range letters {
		if letter.Incomplete {
			errs[i] = ErrIncomplete
		} else {
			whole, places = append(whole, letter), append(places, i)
		}
	}
	if len(whole) == 0 {
		return nil
	}
	each := EachError(l.box.Requeue(ctx, whole), len(whole))
	for i, place := range places {
		if errs[place] = each(i); errs[place] == nil {
			sent = append(sent, place)
		}
	}
	return sent
}

// Drop settles one letter. It returns false when it was settled before.
func (l *Letters) Drop(ctx context.Context, id, by string) (done bool, err error) {
	at, err := ParseLetterID(id)
	if err != nil {
		return false, err
	}
	ctx, release, err := l.take(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	letter, open, err := l.box.Letter(ctx, at)
	if err != nil {
		return false, err
	}
	if !open {
		whole, err := l.read(ctx, id)
		if err != nil || whole.Settled {
			return false, err
		}
		letter = whole.Letter
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letterTimeout)
	defer cancel()
	return true, EachError(l.box.Settle(ctx, []Letter{letter}, Dropped, by), 1)(0)
}
