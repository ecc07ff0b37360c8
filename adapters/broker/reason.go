package broker

import (
	"context"
	"errors"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// reasons maps errors of a publication to words. The first match wins.
var reasons = []struct {
	is   error
	word string
}{
	{application.ErrNotSent, "refused"},
	{errFull, "spool_full"},
	{errClosed, "closing"},
	{domain.ErrTooLarge, "too_large"},
	{domain.ErrInvalid, "invalid"},
	{errPending, "timeout"},
	{context.DeadlineExceeded, "timeout"},
	{domain.ErrUnavailable, "unavailable"},
}

// otherReason stands for what is in no row of reasons.
const otherReason = "other"

// Reason names, in one of the words of [Reasons], why an event is not in the log.
func Reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return r.word
		}
	}
	return otherReason
}

// Reasons lists the words of [Reason].
func Reasons() []string {
	words := []string{otherReason}
	for _, r := range reasons {
		words = append(words, r.word)
	}
	return words
}
