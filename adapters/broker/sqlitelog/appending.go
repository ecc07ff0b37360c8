package sqlitelog

import (
	"fmt"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// slack is how much larger than the largest value that must fit a record may be, its key and headers included. It has room
// for the headers of a dead letter.
const slack = 1 << 20

// appending are the records of one Publish call. It has nothing of the messages that their publisher may change once the
// call has given up.
type appending struct {
	topic   *topic
	records []record
	size    int
	// refused holds an error for each message that can never fit; it is nil when all do.
	refused application.PublishError
	// abandoned says that nobody waits any more: what has not been begun with is left out.
	abandoned atomic.Bool

	// The writer sets these before it closes done.
	first, milliseconds int64
	err                 error
	done                chan struct{}
}

func newAppending(t *topic, msgs []*message.Message, largest int) *appending {
	a := &appending{topic: t, records: make([]record, 0, len(msgs)), done: make(chan struct{})}
	for i, msg := range msgs {
		r := encode(msg)
		if size := r.whole(); size > largest {
			if a.refused == nil {
				a.refused = make(application.PublishError, len(msgs))
			}
			a.refused[i] = fmt.Errorf("%w: a record of %d bytes: the log takes %d", domain.ErrTooLarge, size, largest)
			continue
		}
		a.records = append(a.records, r)
		a.size += r.whole()
	}
	return a
}

// outcome puts the origins on the messages that are in the log, and returns the error of the call.
func (a *appending) outcome(msgs []*message.Message) error {
	n := 0
	for i, msg := range msgs {
		if a.refused != nil && a.refused[i] != nil {
			continue
		}
		if a.err == nil {
			o := originOf(a.topic.name, a.first+int64(n), a.milliseconds, a.records[n].key)
			msg.SetContext(application.WithOrigin(msg.Context(), o))
		}
		n++
	}
	return a.failure(a.err)
}

// failure is the error of the call where err is that of the records which fit.
func (a *appending) failure(err error) error {
	if a.refused == nil {
		return err
	}
	each := append(application.PublishError(nil), a.refused...)
	for i := range each {
		if each[i] == nil {
			each[i] = err
		}
	}
	return each
}
