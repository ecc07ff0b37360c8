package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

const (
	// requeueTime is how long one call of RequeueMany goes on to begin with more letters.
	requeueTime = 10 * time.Second
	// chunkLetters and chunkBytes bound how much is in memory while many letters are requeued, chunkSpan how many offsets of a
	// partition are read to find them.
	chunkLetters = 100
	chunkBytes   = 8 << 20
	chunkSpan    = 100_000
	// maxFailures is how many failures a report lists.
	maxFailures = 100
)

// RequeueReport is what has been done with many letters.
type RequeueReport struct {
	// Requeued and Failed count letters. Those that failed stay open.
	Requeued, Failed int
	// Failures are the first of those that failed.
	Failures []LetterFailure
	// Left is how many of those that the query selects were not tried, Next the cursor to go on with, "" where there are none.
	Left int
	Next string
	// To is that of the query, or when the call began. With it, later calls leave out letters that were requeued and have come
	// back.
	To time.Time
}

// LetterFailure is a letter that could not be requeued.
type LetterFailure struct {
	ID  string
	Err error
}

// RequeueMany requeues the open letters that q selects, up to its limit, in their order; letters of one key one after another,
// and none once an earlier one has failed. It takes about ten seconds at the most, and tells how many are left.
func (l *Letters) RequeueMany(ctx context.Context, q LetterQuery, by string) (RequeueReport, error) {
	if err := q.validate(); err != nil {
		return RequeueReport{}, err
	}
	if q.To.IsZero() {
		q.To = l.now().UTC()
	}
	working, release, err := l.take(ctx)
	if err != nil {
		return RequeueReport{}, err
	}
	defer release()
	page, err := l.box.Find(working, q)
	if err != nil {
		return RequeueReport{}, err
	}
	blocked, err := l.leftBehind(working, q)
	if err != nil {
		return RequeueReport{}, err
	}
	r := requeuing{box: l, by: by, end: l.now().Add(requeueTime), blocked: blocked}
	r.report = RequeueReport{Left: page.Left, Next: page.Next, To: q.To}
	if err = r.run(ctx, page.Letters, q.Cursor); err != nil && r.report.Requeued+r.report.Failed > 0 {
		err = nil // what was done is told; what is left can be tried again
	}
	return r.report, err
}

// leftBehind returns the keys of letters before the query's cursor that it selects and that are still open, as an earlier call could
// not requeue them: letters of these keys must wait.
func (l *Letters) leftBehind(ctx context.Context, q LetterQuery) (map[string]bool, error) {
	keys := map[string]bool{}
	if q.Cursor == "" {
		return keys, nil
	}
	end, err := ParseLetterID(q.Cursor)
	if err != nil {
		return nil, err
	}
	for q.Cursor, q.Limit = "", MaxLetters; ; {
		page, err := l.box.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, letter := range page.Letters {
			if letter.isBehind(end) {
				return keys, nil
			}
			if letter.Key != nil {
				keys[string(letter.Key)] = true
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return keys, nil
		}
	}
}

// isBehind says whether the position is one of a later partition, or behind the other in the same.
func (p Position) isBehind(other Position) bool {
	return p.Partition > other.Partition || p.Partition == other.Partition && p.Offset > other.Offset
}

// requeuing is one call of RequeueMany.
type requeuing struct {
	box    *Letters
	by     string
	end    time.Time
	report RequeueReport
	// blocked are the keys, as far as they are kept, of which a letter has failed.
	blocked map[string]bool
	// away says that the broker takes nothing: it is not tried again by this call.
	away bool
}

// run requeues the letters in chunks; what it leaves, and where to go on, is in the report. cursor is the one before them. The
// error says that they cannot be read.
func (r *requeuing) run(ctx context.Context, letters []Letter, cursor string) error {
	for len(letters) > 0 && !r.away && !r.box.now().After(r.end) && ctx.Err() == nil {
		n := chunk(letters)
		if err := r.chunk(ctx, letters[:n]); err != nil {
			r.leave(letters, cursor)
			return err
		}
		cursor = letters[n-1].ID()
		letters = letters[n:]
	}
	r.leave(letters, cursor)
	return nil
}

// leave notes that the letters behind the cursor were not tried.
func (r *requeuing) leave(letters []Letter, cursor string) {
	if len(letters) > 0 {
		r.report.Left += len(letters)
		r.report.Next = cursor
	}
}

// chunk is how many of the letters are read at once.
func chunk(letters []Letter) int {
	size, first := 0, letters[0].Position
	for n, l := range letters {
		if l.Partition != first.Partition {
			first = l.Position
		}
		size += l.Size
		if n > 0 && (n == chunkLetters || size > chunkBytes || l.Offset-first.Offset > chunkSpan) {
			return n
		}
	}
	return len(letters)
}

func (r *requeuing) chunk(ctx context.Context, letters []Letter) error {
	places := make([]Position, len(letters))
	for i, l := range letters {
		places[i] = l.Position
	}
	reading, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	var whole []WholeLetter
	err := r.box.box.Read(reading, places, func(w WholeLetter) bool {
		if !w.Settled {
			whole = append(whole, w)
		}
		return true
	})
	if err != nil {
		return err
	}
	for len(whole) > 0 {
		var now []WholeLetter
		if now, whole = r.round(whole); len(now) > 0 {
			r.requeue(ctx, now)
		}
	}
	return nil
}

// round takes the first letter of each key, and all that have none. Letters whose turn cannot come have failed.
func (r *requeuing) round(letters []WholeLetter) (now, later []WholeLetter) {
	taken := map[string]bool{}
	for _, l := range letters {
		key := string(l.Key)
		switch {
		case r.away:
			r.fail(l.ID(), fmt.Errorf("%w: the broker is away", domain.ErrUnavailable))
		case l.Record.Key == nil:
			now = append(now, l)
		case r.blocked[key]:
			r.fail(l.ID(), ErrBlocked)
		case taken[key]:
			later = append(later, l)
		default:
			taken[key] = true
			now = append(now, l)
		}
	}
	return now, later
}

// ErrBlocked is why a letter is not requeued whose predecessor could not be.
var ErrBlocked = errors.New("an earlier dead letter of its key could not be requeued")

// requeue requeues letters of different keys. A caller that goes away must not leave them half-way.
func (r *requeuing) requeue(ctx context.Context, letters []WholeLetter) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letterTimeout)
	defer cancel()
	each := EachError(r.box.requeue(ctx, letters, r.by), len(letters))
	away := 0
	for i, l := range letters {
		err := each(i)
		if err == nil {
			r.report.Requeued++
			continue
		}
		r.fail(l.ID(), err)
		r.blocked[string(l.Key)] = true
		if errors.Is(err, domain.ErrUnavailable) {
			away++
		}
	}
	r.away = away == len(letters)
}

func (r *requeuing) fail(id string, err error) {
	r.report.Failed++
	if len(r.report.Failures) < maxFailures {
		r.report.Failures = append(r.report.Failures, LetterFailure{id, err})
	}
}
