//go:build cgo

package confluent

import (
	"errors"
	"fmt"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/netstreamflow/netstreamflow/domain"
)

var (
	errClosed = fmt.Errorf("%w: the broker is closed", domain.ErrUnavailable)
	errLate   = fmt.Errorf("%w: Kafka did not acknowledge in time", domain.ErrUnavailable)
	// errUnproven is for records that librdkafka only infers to be in the log: it tells no offset for them.
	errUnproven = fmt.Errorf("%w: Kafka acknowledged without an offset", domain.ErrUnavailable)
)

// unavailable says what could not be done, and that it may be possible later unless the error says otherwise; a nil error
// stays nil.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrInvalid) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, domain.ErrUnavailable, err)
}

// code returns librdkafka's code of an error, ErrNoError where there is none.
func code(err error) kafka.ErrorCode {
	var e kafka.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return kafka.ErrNoError
}

// outcome is what the caller of Publish gets to see of one message's error.
func outcome(err error) error {
	switch {
	case err == nil || errors.Is(err, domain.ErrUnavailable):
		return err
	case code(err) == kafka.ErrMsgSizeTooLarge:
		return fmt.Errorf("%w: %w", domain.ErrTooLarge, err)
	default:
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
}
